"""`report.txt` of any trainer, and the parts that every trainer's has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.report.metrics import by_day, in_words, mean, metric_names
from workload.text import NONE, plural, printable, significant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workload.report.record import Committed, Numbers, Record

RULE = "*" * 53
NOT_MEASURED = "not measured"
NO_EARLIER_CHECKPOINT = "the first dataset has no earlier checkpoint to be tested with"

TESTED = "Tested on the testing day"
TESTED_NEXT_DAY = "Tested one day ahead"
NOT_TESTED = "Not tested: there is no testing day and only one day was learned"


def text_report(steps: Sequence[Committed], dead: Sequence[Record], *, generated: datetime) -> str:
    """Write one entry per dataset and a closing summary; see `workload.report.write_report`."""
    lines = [line for step in steps for line in _entry(step, generated)]
    lines += [
        *summary_head(generated),
        f"Trainer: {steps[-1].trainer if steps else NONE}",
        f"Datasets learned: {len(steps)}",
        f"Rows: {sum(step.rows for step in steps)}",
        f"Next-day tests: {sum(step.next_day is not None for step in steps)}",
        *(
            f"  {name}, mean of {plural(len(values), 'day')}: {significant(mean(values))}"
            for name in metric_names(steps)
            if (values := by_day(steps, name))
        ),
        *dead_lines(dead),
    ]
    return "\n".join(lines) + "\n"


def closing_line(step: Committed) -> str:
    """Say in one line how good the newest checkpoint is: the metrics of the headline."""
    for numbers, tested in ((step.testing, TESTED), (step.next_day, TESTED_NEXT_DAY)):
        if numbers is not None:
            shown = ", ".join(
                f"{in_words(name)} {significant(numbers[name])}"
                for name in step.headline
                if name in numbers
            )
            return f"{tested}: {shown}" if shown else tested
    return NOT_TESTED


def entry_head(step: Committed, generated: datetime) -> list[str]:
    """Begin the entry of a dataset, as the tutorial does."""
    return [
        RULE,
        f"Report generated on: {generated:%Y-%m-%d %H:%M:%S}",
        f"Training dataset: {step.file_name}",
        f"Model checkpoint: {step.checkpoint_file}",
        "---",
    ]


def summary_head(generated: datetime) -> list[str]:
    """Begin the summary that closes the report."""
    return [RULE, f"Summary generated on: {generated:%Y-%m-%d %H:%M:%S}"]


def why_not_tested(step: Committed) -> str:
    """Say why there are no figures on the testing dataset."""
    return step.testing_note or NOT_MEASURED


def why_no_next_day(step: Committed) -> str:
    """Say why there are no figures of the next-day test."""
    return NO_EARLIER_CHECKPOINT if step.base is None else NOT_MEASURED


def dead_lines(dead: Sequence[Record]) -> list[str]:
    """List the datasets that were left out, with the reasons."""
    return [
        f"Dead letters: {len(dead) or 'none'}",
        *(
            f"  {printable(letter.get('kind', ''))}: {printable(letter.get('dataset', ''))}: "
            f"{printable(letter.get('reason', ''))}"
            for letter in dead
        ),
    ]


def _entry(step: Committed, generated: datetime) -> list[str]:
    return [
        *entry_head(step, generated),
        *_section(f"Training data, after learning it: {step.rows} rows", step.training, ""),
        *_section("Testing data", step.testing, why_not_tested(step)),
        *_section(
            "Next day (this dataset, tested with the previous checkpoint before it was learned)",
            step.next_day,
            why_no_next_day(step),
        ),
    ]


def _section(title: str, numbers: Numbers | None, absent: str) -> list[str]:
    if numbers is None:
        return [f"{title}: n/a ({absent})"]
    return [title, *(f"  {name}: {significant(numbers[name])}" for name in sorted(numbers))]

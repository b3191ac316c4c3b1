"""The report of any trainer: what is known of every chain, and the trainer's metrics by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from workload.fraud.report.figures import figure, speed, trouble
from workload.fraud.report.summary import Fold, base_name, printable, read_fold
from workload.fraud.report.tables import long_table, row
from workload.fraud.report.text import NO_EARLIER_CHECKPOINT, NOT_MEASURED, RULE, dead_lines
from workload.report.markup import NONE, plural, text
from workload.report.parts import (
    NEW_REPORT,
    checksum,
    document,
    filled,
    left_out,
    span,
    tile,
    verify,
)
from workload.report.plots import line_plot
from workload.share.durable import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    Numbers = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One committed dataset: what is the same for every trainer, and its metrics' numbers."""

    fold: Fold
    trainer: str
    headline: Sequence[str]
    training: Numbers | None
    next_day: Numbers | None
    testing: Numbers | None


def write_report(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    output: Path,
    *,
    generated: datetime,
) -> tuple[Path, Path]:
    """Write `report.txt` and `report.html`; see `workload.fraud.report.write_report`."""
    steps = [read_step(record) for record in ledger]
    text_path, page_path = output / "report.txt", output / "report.html"
    write_atomic(text_path, _text_report(steps, dead, generated).encode())
    write_atomic(page_path, _page(steps, dead, generated).encode())
    return text_path, page_path


def closing_line(record: Mapping[str, object]) -> str:
    """Say in one line how good the newest checkpoint is; as that of `fraud`."""
    step = read_step(record)
    for numbers, what in (
        (step.testing, "Tested on the testing day"),
        (step.next_day, "Tested one day ahead"),
    ):
        if numbers is not None:
            shown = ", ".join(f"{_words(name)} {_value(numbers[name])}" for name in _shown(step))
            return printable(f"{what}: {shown}" if shown else what)
    return "Not tested: there is no testing day and only one day was learned"


def read_step(record: Mapping[str, object]) -> Step:
    """Read one ledger record; what is missing or of another type is left out."""
    metrics = record.get("metrics")
    metrics = metrics if isinstance(metrics, Mapping) else {}
    headline = record.get("headline")
    return Step(
        fold=read_fold(record),
        trainer=printable(record.get("trainer", "")),
        headline=[str(name) for name in headline] if isinstance(headline, list) else [],
        training=_numbers(metrics.get("training")),
        next_day=_numbers(metrics.get("next_day")),
        testing=_numbers(metrics.get("testing")),
    )


def _numbers(metrics: object) -> Numbers | None:
    """The metrics that are one number, or an undefined one."""
    if not isinstance(metrics, Mapping):
        return None
    return {
        str(name): None if value is None else float(value)
        for name, value in metrics.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def _shown(step: Step) -> list[str]:
    """The headline's metrics that were measured."""
    measured = step.testing or step.next_day or step.training or {}
    return [name for name in step.headline if name in measured]


def _names(steps: Sequence[Step]) -> list[str]:
    """Every metric of the next-day tests, those of the headline first."""
    found = {name for step in steps for name in step.next_day or ()}
    first = [name for name in (steps[-1].headline if steps else ()) if name in found]
    return [*first, *sorted(found - set(first))]


def _by_day(steps: Sequence[Step], name: str) -> list[float]:
    """A metric's values in the next-day tests."""
    values = [(step.next_day or {}).get(name) for step in steps]
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: float | None) -> str:
    return NONE if value is None else f"{value:,.5g}" if value % 1 else f"{value:,.0f}"


# report.txt ---------------------------------------------------------------------------------------


def _text_report(
    steps: Sequence[Step], dead: Sequence[Mapping[str, object]], generated: datetime
) -> str:
    lines = [line for step in steps for line in _entry(step, generated)]
    tested = [step for step in steps if step.next_day is not None]
    lines += [
        RULE,
        f"Summary generated on: {generated:%Y-%m-%d %H:%M:%S}",
        f"Trainer: {steps[-1].trainer if steps else NONE}",
        f"Datasets learned: {len(steps)}",
        f"Rows: {sum(step.fold.rows for step in steps)}",
        f"Next-day tests: {len(tested)}",
        *(
            f"  {printable(name)}, mean of {plural(len(values), 'day')}: {_value(_mean(values))}"
            for name in _names(steps)
            if (values := _by_day(steps, name))
        ),
        *dead_lines(dead),
    ]
    return "\n".join(lines) + "\n"


def _entry(step: Step, generated: datetime) -> list[str]:
    fold = step.fold
    return [
        RULE,
        f"Report generated on: {generated:%Y-%m-%d %H:%M:%S}",
        f"Training dataset: {base_name(fold.dataset)}",
        f"Model checkpoint: {fold.checkpoint_file}",
        "---",
        *_section(f"Training data, after learning it: {fold.rows} rows", step.training, ""),
        *_section("Testing data", step.testing, fold.testing_note or NOT_MEASURED),
        *_section(
            "Next day (this dataset, tested with the previous checkpoint before it was learned)",
            step.next_day,
            NO_EARLIER_CHECKPOINT if fold.first else NOT_MEASURED,
        ),
    ]


def _section(title: str, numbers: Numbers | None, absent: str) -> list[str]:
    if numbers is None:
        return [f"{title}: n/a ({absent})"]
    return [title, *(f"  {printable(name)}: {_value(numbers[name])}" for name in sorted(numbers))]


# report.html --------------------------------------------------------------------------------------


def _page(steps: Sequence[Step], dead: Sequence[Mapping[str, object]], generated: datetime) -> str:
    folds = [step.fold for step in steps]
    plots = "\n".join([*_plots(steps), speed(folds), trouble(folds)])
    trainer = text(steps[-1].trainer if steps else "no trainer yet")
    return document(
        filled("plain.html", plots=plots),
        folds,
        dead,
        generated=generated,
        kicker=f" &middot; {trainer}",
        headline=_headline(steps),
        lead=_lead(folds),
        warning=left_out(dead),
        tiles="\n".join(_tiles(steps)) or tile("Next-day test", NONE, "needs a second dataset"),
        table=_table(steps),
        verify=_verify(folds),
    )


def _headline(steps: Sequence[Step]) -> str:
    if not steps:
        return "No dataset has been learned yet"
    learned = f"{plural(len(steps), 'dataset')} learned"
    tested = [name for name in steps[-1].headline if _by_day(steps, name)]
    if not tested:
        return f"{learned}, nothing yet to test the model on"
    mean = _value(_mean(_by_day(steps, tested[-1])))
    return f"{learned}, {text(_words(tested[-1]))} {mean} one day ahead"


def _lead(folds: Sequence[Fold]) -> str:
    if not folds:
        return "The report fills as datasets are committed."
    return f"Learned in order{span(folds)}: {plural(sum(fold.rows for fold in folds), 'row')}."


def _tiles(steps: Sequence[Step]) -> list[str]:
    return [
        tile(
            text(_words(name)),
            _value(_mean(values)),
            f"one day ahead, mean of {plural(len(values), 'day')}; the last: {_value(values[-1])}",
        )
        for name in _names(steps)
        if (values := _by_day(steps, name))
    ]


def _plots(steps: Sequence[Step]) -> list[str]:
    drawn = []
    for number, name in enumerate(_names(steps), start=1):
        points = [
            (step.fold.date, value)
            for step in steps
            if step.fold.date and (value := _by_day([step], name))
        ]
        if points:
            svg = line_plot([(day, value[0]) for day, value in points], f"Metric {number} by day")
            drawn.append(figure(text(_words(name)), "One day ahead.", svg))
    return drawn


def _table(steps: Sequence[Step]) -> str:
    if not steps:
        return '<div class="none"><p>None yet.</p></div>'
    names = _names(steps)
    titles = ("dataset", "rows", *(text(_words(name)) for name in names))
    rows = [
        row(
            escape(base_name(step.fold.dataset)),
            [
                f"{step.fold.rows:,}",
                *(_value((step.next_day or {}).get(name)) for name in names),
                f"{step.fold.attempts} / {step.fold.crashes}",
                f"<code>{escape(step.fold.checkpoint[:12])}</code>",
            ],
        )
        for step in steps
    ]
    return long_table((*titles, "failed / crashed", "checkpoint"), rows)


def _verify(folds: Sequence[Fold]) -> str:
    if not folds:
        return '<div class="none"><p>Nothing to check yet.</p></div>'
    return verify(
        "If the trainer keeps its promises, the model depends only on the datasets and their "
        "order, not on the number of workers or crashes",
        [*checksum(folds[-1]), *NEW_REPORT],
    )

"""`report.txt`: the tutorial's entries, each followed by metrics that mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, FEWEST_FRAUDS
from workload.fraud.report.drift import drift
from workload.fraud.report.pooling import label_lag, pool_next_day
from workload.fraud.report.scores import full
from workload.report.text import (
    NOT_MEASURED,
    NOT_TESTED,
    TESTED,
    TESTED_NEXT_DAY,
    dead_lines,
    entry_head,
    summary_head,
    why_no_next_day,
    why_not_tested,
)
from workload.text import NONE, decimals, significant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workload.fraud.report.scores import Scores, Step
    from workload.report.record import Record


def text_report(steps: Sequence[Step], dead: Sequence[Record], *, generated: datetime) -> str:
    """Write one entry per dataset and a closing summary; see `workload.report.write_report`."""
    entries = [entry(step, generated=generated) for step in steps]
    return "".join([*entries, _summary(steps, dead, generated)])


def entry(step: Step, *, generated: datetime) -> str:
    """Write the entry of one dataset, ending with a newline.

    The first seven lines are the tutorial's, in its order and wording.
    """
    absent = why_not_tested(step.committed)
    lines = [
        *entry_head(step.committed, generated),
        f"Accuracy on training data: {_accuracy(step.training, NOT_MEASURED)}",
        f"Accuracy on testing data: {_accuracy(step.testing, absent)}",
        *_section("Testing data", step.testing, absent),
        *_section(
            "Next day (this dataset, scored by the previous checkpoint before it was learned)",
            step.next_day,
            why_no_next_day(step.committed),
        ),
    ]
    return "\n".join(lines) + "\n"


def closing_line(step: Step) -> str:
    """Say in one line how good the newest checkpoint is."""
    for scores, tested in ((step.testing, TESTED), (step.next_day, TESTED_NEXT_DAY)):
        if scores is not None:
            chance = scores.frauds / scores.rows if scores.rows else None
            return (
                f"{tested}: average precision {decimals(scores.average_precision)} "
                f"(chance {decimals(chance)}), accuracy {decimals(scores.accuracy, 5)} against "
                f"{decimals(scores.majority_accuracy, 5)} for always answering genuine; "
                f"{scores.frauds} frauds"
            )
    return NOT_TESTED


def _summary(steps: Sequence[Step], dead: Sequence[Record], generated: datetime) -> str:
    pooled = pool_next_day(steps)
    lines = [
        *summary_head(generated),
        f"Datasets learned: {len(steps)}",
        f"Rows: {sum(step.committed.rows for step in steps)}",
        f"Frauds: {sum(step.frauds for step in steps)}",
        f"Label lag of features: {label_lag(steps) or NONE}",
        f"Next-day tests: {pooled.days} (rows: {pooled.rows}, frauds: {pooled.frauds})",
    ]
    if dropped := full(steps):
        lines.append(f"WARNING: the model is full. {dropped}")
    if pooled.days:
        lines += [
            f"  Accuracy, pooled: {_value(pooled.accuracy)}",
            f"  Accuracy of always answering genuine: {_value(pooled.majority_accuracy)}",
            (
                f"  Average precision, pooled: {_value(pooled.average_precision)}"
                f" (share of frauds: {_value(pooled.base_rate)})"
            ),
            f"  ROC AUC, pooled: {_value(pooled.roc_auc)}",
            f"  Card precision at {CARDS}, mean of days: {_value(pooled.card_precision)}",
            f"  Recall of alarms, pooled: {_value(pooled.recall)}",
            *(
                f"  Frauds with label {kind}: {frauds}, caught with {CARDS} cards a day: {caught}"
                for kind, (frauds, caught) in pooled.scenarios.items()
            ),
            *_stale(steps),
            *_caution(pooled.frauds),
            "Tested on the next day, optimistic: the weights learn the labels of a day at once,",
            "although in practice labels arrive days later; features keep to the label lag.",
        ]
    return "\n".join([*lines, *dead_lines(dead)]) + "\n"


def _stale(steps: Sequence[Step]) -> list[str]:
    warning = drift(steps).warning
    return [f"WARNING: the model may be stale. {warning}"] if warning else []


def _section(title: str, scores: Scores | None, absent: str) -> list[str]:
    if scores is None:
        return [f"{title}: n/a ({absent})"]
    return [
        f"{title}: {scores.rows} rows, {scores.frauds} frauds",
        f"  Accuracy: {_value(scores.accuracy)}",
        f"  Accuracy of always answering genuine: {_value(scores.majority_accuracy)}",
        f"  Average precision: {_value(scores.average_precision)}",
        f"  ROC AUC: {_value(scores.roc_auc)}",
        f"  Card precision at {CARDS}: {_value(scores.card_precision)}",
        f"  Recall at threshold {scores.threshold:g}: {_value(scores.recall)}",
        *_caution(scores.frauds),
    ]


def _caution(frauds: int) -> list[str]:
    if frauds >= FEWEST_FRAUDS:
        return []
    return [
        (
            f"  No ranking claim is possible with {frauds} fraud{'' if frauds == 1 else 's'}"
            f" (fewer than {FEWEST_FRAUDS})"
        )
    ]


def _accuracy(scores: Scores | None, absent: str) -> str:
    return f"n/a ({absent})" if scores is None else _value(scores.accuracy)


def _value(value: float | None) -> str:
    return "n/a (undefined without frauds or rows)" if value is None else significant(value, 6)

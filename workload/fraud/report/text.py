"""`report.txt`: the tutorial's entries, each followed by metrics that mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, FEWEST_FRAUDS
from workload.fraud.report.drift import drift
from workload.fraud.report.summary import (
    base_name,
    label_lag,
    pool_next_day,
    printable,
    read_fold,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workload.fraud.report.summary import Fold, Scores

RULE = "*" * 53
NO_EARLIER_CHECKPOINT = "the first dataset has no earlier checkpoint to be tested with"
NOT_MEASURED = "not measured"


def text_entry(record: Mapping[str, object], *, generated: datetime) -> str:
    """Write the entry of one dataset, ending with a newline.

    The first seven lines are the tutorial's, in its order and wording.

    Args:
        record: a ledger record; only `dataset`, `checkpoint_file`, `base` and `metrics` are read.
        generated: time stated in the entry.
    """
    fold = read_fold(record)
    testing_note = fold.testing_note or NOT_MEASURED
    lines = [
        RULE,
        f"Report generated on: {generated:%Y-%m-%d %H:%M:%S}",
        f"Training dataset: {base_name(fold.dataset)}",
        f"Model checkpoint: {fold.checkpoint_file}",
        "---",
        f"Accuracy on training data: {_accuracy(fold.training, NOT_MEASURED)}",
        f"Accuracy on testing data: {_accuracy(fold.testing, testing_note)}",
        *_section("Testing data", fold.testing, testing_note),
        *_section(
            "Next day (this dataset, scored by the previous checkpoint before it was learned)",
            fold.next_day,
            NO_EARLIER_CHECKPOINT if fold.first else NOT_MEASURED,
        ),
    ]
    return "\n".join(lines) + "\n"


def text_report(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    *,
    generated: datetime,
) -> str:
    """Write one entry per ledger record and a closing summary; see `write_report`."""
    entries = [text_entry(record, generated=generated) for record in ledger]
    return "".join([*entries, _summary(ledger, dead, generated=generated)])


def closing_line(record: Mapping[str, object]) -> str:
    """Say in one line how good the newest checkpoint is.

    Args:
        record: its ledger record.
    """
    fold = read_fold(record)
    for scores, what in (
        (fold.testing, "Tested on the testing day"),
        (fold.next_day, "Tested one day ahead"),
    ):
        if scores is not None:
            chance = scores.frauds / scores.rows if scores.rows else None
            return (
                f"{what}: average precision {_short(scores.average_precision)} "
                f"(chance {_short(chance)}), accuracy {_short(scores.accuracy, 5)} against "
                f"{_short(scores.majority_accuracy, 5)} for always answering genuine; "
                f"{scores.frauds} frauds"
            )
    return "Not tested: there is no testing day and only one day was learned"


def _short(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _summary(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    *,
    generated: datetime,
) -> str:
    folds = [read_fold(record) for record in ledger]
    pooled = pool_next_day(folds)
    lines = [
        RULE,
        f"Summary generated on: {generated:%Y-%m-%d %H:%M:%S}",
        f"Datasets learned: {len(folds)}",
        f"Rows: {sum(fold.rows for fold in folds)}",
        f"Frauds: {sum(fold.frauds for fold in folds)}",
        f"Label lag of features: {label_lag(folds) or 'n/a'}",
        f"Next-day tests: {pooled.days} (rows: {pooled.rows}, frauds: {pooled.frauds})",
    ]
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
            *_stale(folds),
            *_caution(pooled.frauds),
            "Tested on the next day, optimistic: the weights learn the labels of a day at once,",
            "although in practice labels arrive days later; features keep to the label lag.",
        ]
    return "\n".join([*lines, *dead_lines(dead)]) + "\n"


def dead_lines(dead: Sequence[Mapping[str, object]]) -> list[str]:
    """List the datasets that were left out, with the reasons."""
    return [
        f"Dead letters: {len(dead) or 'none'}",
        *(
            f"  {printable(letter.get('kind', ''))}: {printable(letter.get('dataset', ''))}: "
            f"{printable(letter.get('reason', ''))}"
            for letter in dead
        ),
    ]


def _stale(folds: Sequence[Fold]) -> list[str]:
    warning = drift(folds).warning
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
    return "n/a (undefined without frauds or rows)" if value is None else f"{value:.6g}"

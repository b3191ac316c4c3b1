"""The page's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, FEWEST_FRAUDS, THRESHOLD
from workload.fraud.report.pooling import TRAILING_DAYS
from workload.report.elements import Cell, Table
from workload.report.text import why_not_tested
from workload.text import NONE, decimals, percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from workload.fraud.report.pooling import Pooled
    from workload.fraud.report.scores import Scores, Step

SCENARIO_LABEL = "TX_FRAUD_SCENARIO"
SCENARIOS = {
    "1": "large amount",
    "2": "compromised terminal",
    "3": "compromised card, amounts five times as large",
}
"""What the values of the handbook's label stand for (chapter 3)."""

SCORES = (
    *("average precision", "ROC AUC", "card precision", "recall"),
    *("accuracy", "always genuine"),
)


def tests_table(
    steps: Sequence[Step], pooled: Pooled, recent: Sequence[tuple[date, Pooled]]
) -> Table | None:
    """Compare the next-day tests with the test dataset and the training data."""
    if not steps:
        return None
    newest = steps[-1]
    results: list[tuple[str, Scores | Pooled | None]] = []
    if pooled.days:
        results.append((f"Next day, all {pooled.days} tests", pooled))
    if recent and pooled.days > TRAILING_DAYS:
        results.append((f"Next day, last {TRAILING_DAYS} days", recent[-1][1]))
    results += [
        ("Test dataset, newest checkpoint", newest.testing),
        ("Newest dataset, after learning it", newest.training),
    ]
    note = f"Grey: fewer than {FEWEST_FRAUDS} frauds, so no claim about ranking is possible."
    if newest.testing is None:
        note += f" No figures for the test dataset: {why_not_tested(newest.committed)}."
    return Table(
        ("tested on", "frauds", *SCORES),
        [
            (name, f"{scores.frauds:,}", *_score_cells(scores))
            for name, scores in results
            if scores is not None
        ],
        note,
        worded=True,
    )


def scenarios_table(pooled: Pooled, labels: set[str]) -> Table | None:
    """List kinds of fraud: how many there were, and how many a day's 100 checked cards reach."""
    if not pooled.scenarios:
        return None
    names = SCENARIOS if labels == {SCENARIO_LABEL} else {}
    threshold = (
        f" On the median day that means to alarm at a probability of {pooled.card_threshold:.3g} "
        "and above."
        if pooled.card_threshold is not None
        else ""
    )
    return Table(
        ("kind of fraud (label)", "frauds", "caught", "missed", "caught"),
        [
            (
                f"{names.get(kind, 'label')} ({kind})",
                f"{frauds:,}",
                f"{caught:,}",
                f"{frauds - caught:,}",
                percent(caught / frauds if frauds else None),
            )
            for kind, (frauds, caught) in pooled.scenarios.items()
        ],
        f"Next-day tests; caught: the card is among the {CARDS} ranked highest that day."
        f"{threshold} The model learns only whether a transaction is a fraud, not of which kind.",
        worded=True,
    )


def datasets_table(steps: Sequence[Step]) -> Table:
    """List every dataset with its next-day test."""
    return Table(
        ("dataset", "rows", "frauds", *SCORES, "failed / crashed", "checkpoint"),
        [
            (
                step.committed.file_name,
                f"{step.committed.rows:,}",
                f"{step.frauds:,}",
                *([NONE] * len(SCORES) if step.next_day is None else _score_cells(step.next_day)),
                f"{step.committed.attempts} / {step.committed.crashes}",
                Cell(step.committed.checkpoint[:12], "code"),
            )
            for step in steps
        ],
        "Scores are those of the next-day test: the dataset scored by the checkpoint before it. "
        f"Card precision is at {CARDS}, recall at {THRESHOLD:g}. Grey: fewer than {FEWEST_FRAUDS} "
        "frauds.",
    )


def _score_cells(scores: Scores | Pooled) -> list[str | Cell]:
    ranking = [
        decimals(value)
        for value in (
            scores.average_precision,
            scores.roc_auc,
            scores.card_precision,
            scores.recall,
        )
    ]
    return [
        *(ranking if scores.ranks else (Cell(figure, "frail") for figure in ranking)),
        percent(scores.accuracy),
        percent(scores.majority_accuracy),
    ]

"""The page's tables."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, FEWEST_FRAUDS, THRESHOLD
from workload.fraud.report.summary import TRAILING_DAYS, base_name, latest_testing
from workload.report.markup import NONE, percent, three

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from workload.fraud.report.summary import Fold, Pooled, Scores

SCENARIO_LABEL = "TX_FRAUD_SCENARIO"
SCENARIOS = {
    "1": "large amount",
    "2": "compromised terminal",
    "3": "compromised card, amounts five times as large",
}
"""What the values of the handbook's label stand for (chapter 3)."""

TALL = 31
"""With more datasets than this, the table scrolls within the page."""


def tests_table(
    folds: Sequence[Fold], pooled: Pooled, recent: Sequence[tuple[date, Pooled]]
) -> str:
    """Compare the next-day tests with the test dataset and the training data."""
    if not folds:
        return ""
    newest = folds[-1]
    rows = []
    if pooled.days:
        rows.append(_pooled_row(f"Next day, all {pooled.days} tests", pooled))
    if recent and pooled.days > TRAILING_DAYS:
        rows.append(_pooled_row(f"Next day, last {TRAILING_DAYS} days", recent[-1][1]))
    testing = latest_testing(folds)
    if testing is not None:
        rows.append(_scores_row("Test dataset, newest checkpoint", testing))
    if newest.training is not None:
        rows.append(_scores_row("Newest dataset, after learning it", newest.training))
    note = f"Grey: fewer than {FEWEST_FRAUDS} frauds, so no claim about ranking is possible."
    if testing is None:
        reason = escape(newest.testing_note or "not measured")
        note += f" No figures for the test dataset: {reason}."
    return (
        '<div class="scroll"><table class="worded"><thead><tr><th>tested on</th><th>frauds</th>'
        "<th>average precision</th><th>ROC AUC</th><th>card precision</th><th>recall</th>"
        f"<th>accuracy</th><th>always genuine</th></tr></thead><tbody>{''.join(rows)}"
        f'</tbody></table></div><p class="note">{note}</p>'
    )


def scenarios_table(pooled: Pooled, labels: set[str]) -> str:
    """List kinds of fraud: how many there were, and how many a day's 100 checked cards reach."""
    if not pooled.scenarios:
        return '<div class="none"><p>No frauds recorded by kind.</p></div>'
    names = SCENARIOS if labels == {SCENARIO_LABEL} else {}
    rows = [
        row(
            f"{names.get(kind, 'label')} ({escape(kind)})",
            [
                f"{frauds:,}",
                f"{caught:,}",
                f"{frauds - caught:,}",
                percent(caught / frauds if frauds else None),
            ],
        )
        for kind, (frauds, caught) in pooled.scenarios.items()
    ]
    threshold = (
        f" On the median day that means to alarm at a probability of {pooled.card_threshold:.3g} "
        "and above."
        if pooled.card_threshold is not None
        else ""
    )
    return (
        '<div class="scroll"><table class="worded"><thead><tr><th>kind of fraud (label)</th>'
        "<th>frauds</th><th>caught</th><th>missed</th><th>caught</th></tr></thead><tbody>"
        f'{"".join(rows)}</tbody></table></div><p class="note">Next-day tests; caught: the card '
        f"is among the {CARDS} ranked highest that day.{threshold} The model learns only "
        "whether a transaction is a fraud, not of which kind.</p>"
    )


def datasets_table(folds: Sequence[Fold]) -> str:
    """List every dataset with its next-day test."""
    if not folds:
        return '<div class="none"><p>None yet.</p></div>'
    rows = []
    for fold in folds:
        scores = _score_cells(fold.next_day) if fold.next_day is not None else [NONE] * 6
        rows.append(
            row(
                escape(base_name(fold.dataset)),
                [
                    f"{fold.rows:,}",
                    f"{fold.frauds:,}",
                    *scores,
                    f"{fold.attempts} / {fold.crashes}",
                    f"<code>{escape(fold.checkpoint[:12])}</code>",
                ],
            )
        )
    titles = (
        *("dataset", "rows", "frauds", "average precision", "ROC AUC", "card precision", "recall"),
        *("accuracy", "always genuine", "failed / crashed", "checkpoint"),
    )
    return (
        long_table(titles, rows)
        + '<p class="note">Scores are those of the next-day test: the dataset scored by the '
        f"checkpoint before it. Card precision is at {CARDS}, recall at {THRESHOLD:g}. Grey: fewer "
        f"than {FEWEST_FRAUDS} frauds.</p>"
    )


def _pooled_row(name: str, pooled: Pooled) -> str:
    return row(
        name,
        [
            f"{pooled.frauds:,}",
            *_ranking(
                pooled.ranks,
                pooled.average_precision,
                pooled.roc_auc,
                pooled.card_precision,
                pooled.recall,
            ),
            percent(pooled.accuracy),
            percent(pooled.majority_accuracy),
        ],
    )


def _scores_row(name: str, scores: Scores) -> str:
    return row(name, [f"{scores.frauds:,}", *_score_cells(scores)])


def _score_cells(scores: Scores) -> list[str]:
    return [
        *_ranking(
            scores.ranks,
            scores.average_precision,
            scores.roc_auc,
            scores.card_precision,
            scores.recall,
        ),
        percent(scores.accuracy),
        percent(scores.majority_accuracy),
    ]


def _ranking(firm: bool, *values: float | None) -> list[str]:
    if firm:
        return [three(value) for value in values]
    return [f'<span class="frail">{three(value)}</span>' for value in values]


def long_table(titles: Sequence[str], rows: Sequence[str]) -> str:
    """Frame rows as from `row`; many of them scroll within the page."""
    kind = "scroll tall" if len(rows) > TALL else "scroll"
    head = "".join(f"<th>{title}</th>" for title in titles)
    return (
        f'<div class="{kind}" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>\n'
        f"{''.join(rows)}</tbody></table></div>"
    )


def row(name: str, cells: Sequence[str]) -> str:
    """Write one row, the name its heading."""
    return f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"

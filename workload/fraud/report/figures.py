"""The page's figures: which plot shows what, with its title, explanation and legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.fraud.metrics import (
    CARDS,
    FEWEST_FRAUDS,
    THRESHOLD,
    precision_recall_curve,
    reliability,
)
from workload.fraud.report.drift import BEFORE, SHIFTED
from workload.fraud.report.summary import TRAILING_DAYS
from workload.report import plots
from workload.report.markup import no_claim, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from workload.fraud.report.drift import Drift
    from workload.fraud.report.summary import Fold, Pooled, Scores

EMPTY = '<figure class="empty">'


def figures(
    folds: Sequence[Fold],
    pooled: Pooled,
    recent: Sequence[tuple[date, Pooled]],
    changes: Drift,
) -> list[str]:
    """Draw every figure as HTML; a sentence, put last, stands in for a plot that would be empty."""
    tested = [(fold.date, fold.next_day) for fold in folds if fold.date and fold.next_day]
    drawn = [speed(folds), trouble(folds)]
    if tested:
        drawn = [
            _average_precision(tested, recent),
            _precision_recall(pooled, recent),
            _alarms(tested),
            _cards(tested),
            _calibration(pooled),
            _drift(changes),
            *drawn,
        ]
    else:
        drawn.append(_empty("Next-day tests", "None yet: they begin with the second dataset."))
    return sorted(drawn, key=lambda figure: figure.startswith(EMPTY))


def _average_precision(
    tested: Sequence[tuple[date, Scores]], recent: Sequence[tuple[date, Pooled]]
) -> str:
    title = "Average precision, one day ahead"
    scored = [
        (day, test.average_precision, test.ranks)
        for day, test in tested
        if test.average_precision is not None
    ]
    if not scored:
        return _empty(title, "No curve: there are no frauds.")
    firm = [(day, value) for day, value, ranks in scored if ranks]
    frail = [(day, value) for day, value, ranks in scored if not ranks]
    pooled = [
        (day, trail.average_precision)
        for day, trail in recent
        if trail.ranks and trail.average_precision is not None
    ]
    keys = [
        (pooled, ("line", "model", f"last {TRAILING_DAYS} days pooled")),
        (firm, ("dot", "model", "one day")),
        (frail, ("ring", "model", f"fewer than {FEWEST_FRAUDS} frauds: no claim")),
        (scored, ("dash", "muted", "random ranking")),
    ]
    return figure(
        title,
        "The higher, the more frauds come before genuine transactions.",
        plots.average_precision_plot(
            firm,
            frail,
            pooled,
            [(day, trail.base_rate) for day, trail in recent if trail.base_rate is not None],
            "Average precision by day",
        ),
        *(key for points, key in keys if points),
    )


def _alarms(tested: Sequence[tuple[date, Scores]]) -> str:
    return figure(
        "Frauds caught by alarms",
        f"Fraudulent transactions a day, and those scored above {THRESHOLD:g} before they were "
        "learned.",
        plots.bars_plot(
            [(day, float(test.frauds)) for day, test in tested],
            [(day, float(test.true_positives or 0)) for day, test in tested],
            "Frauds by day, and those caught",
        ),
        ("box", "model", "caught"),
        ("box", "soft", "missed"),
    )


def _precision_recall(pooled: Pooled, recent: Sequence[tuple[date, Pooled]]) -> str:
    title = "Precision and recall"
    if not pooled.ranks or pooled.base_rate is None:
        return _empty(title, f"No curve: {no_claim(pooled.frauds)}.")
    last = recent[-1][1] if recent and pooled.days > TRAILING_DAYS else None
    shown = last if last is not None and last.ranks else None
    keys = [("line", "model", f"all {plural(pooled.days, 'next-day test')}")]
    if shown is not None:
        keys.append(("line", "fraud", f"last {TRAILING_DAYS} days"))
    alarms = None
    if pooled.recall is not None and pooled.precision is not None:
        alarms = pooled.recall, pooled.precision
        keys.append(("ring", "model", f"alarms at {THRESHOLD:g}"))
    return figure(
        title,
        "Recall: share of frauds caught. Precision: share of alarms that are right.",
        plots.precision_recall_plot(
            precision_recall_curve(pooled.histogram),
            precision_recall_curve(shown.histogram) if shown is not None else None,
            alarms,
            pooled.base_rate,
            "Precision over recall, pooled",
        ),
        *keys,
        ("dash", "muted", "random ranking"),
    )


def _cards(tested: Sequence[tuple[date, Scores]]) -> str:
    cards = [(day, test) for day, test in tested if test.fraud_cards is not None]
    if not cards:
        return _empty("Compromised cards", "Not recorded.")
    return figure(
        f"Compromised cards found among {CARDS} checked",
        f"If an investigator checks the {CARDS} cards ranked highest each day.",
        plots.bars_plot(
            [(day, float(test.fraud_cards or 0)) for day, test in cards],
            [(day, float(test.cards_found or 0)) for day, test in cards],
            "Compromised cards by day, and those found",
        ),
        ("box", "model", "found"),
        ("box", "soft", "not found"),
    )


def _calibration(pooled: Pooled) -> str:
    title = "Calibration"
    if not pooled.ranks:
        return _empty(title, f"No curve: {no_claim(pooled.frauds)}.")
    return figure(
        title,
        "What happened to transactions of like probability. On the dashed line, a probability of 1 "
        "in 10 is a fraud 1 time in 10.",
        plots.calibration_plot(
            reliability(pooled.histogram), "Share of frauds by fraud probability"
        ),
        ("dot", "model", f"{plural(pooled.days, 'next-day test')} pooled"),
        ("dash", "muted", "as said"),
    )


def _drift(changes: Drift) -> str:
    title = "Drift"
    if not changes.shift:
        return _empty(
            title, f"None yet: scores are compared with those of the {BEFORE} days before."
        )
    return figure(
        title,
        f"How far a day&rsquo;s scores are from those of the {BEFORE} days before, and how many "
        "of its cards are new.",
        plots.drift_plot(
            changes.shift, changes.new_cards, SHIFTED, "Stability index and new cards by day"
        ),
        ("line", "model", "stability index of scores"),
        ("line", "fraud", "share of new cards"),
        ("dash", "muted", f"shifted: {SHIFTED:g}"),
    )


def speed(folds: Sequence[Fold]) -> str:
    """Draw how fast each dataset was learned."""
    title = "Rows per second"
    points = [(fold.date, fold.rows_per_second) for fold in folds if fold.date]
    timed = [(day, speed) for day, speed in points if speed is not None]
    if not timed:
        return _empty(title, "Not recorded.")
    return figure(
        title,
        "Rows of a dataset over the seconds of prepare, fold and write.",
        plots.bars_plot(timed, timed, "Rows per second by dataset"),
    )


def trouble(folds: Sequence[Fold]) -> str:
    """Draw how often a dataset was tried in vain."""
    title = "Failed attempts and crashes"
    if not folds:
        return _empty(title, "None.")
    if not any(fold.attempts or fold.crashes for fold in folds):
        return _empty(title, "None: every dataset was committed at its first claim.")
    dated = [(fold.date, fold) for fold in folds if fold.date]
    if not dated:
        return _empty(title, "Not dated.")
    crashes = sum(fold.crashes for fold in folds)
    attempts = sum(fold.attempts for fold in folds)
    return figure(
        title,
        "Per dataset, before it was committed; none of them changes the model.",
        plots.stacked_bars_plot(
            [(day, float(fold.crashes)) for day, fold in dated],
            [(day, float(fold.attempts)) for day, fold in dated],
            "Failed attempts and crashes by dataset",
        ),
        ("box", "model", f"lease expired, worker lost: {crashes}"),
        ("box", "fraud", f"attempt failed: {attempts}"),
    )


def figure(title: str, text: str, svg: str, *keys: tuple[str, str, str]) -> str:
    """Frame a plot.

    Args:
        title: its heading.
        text: what it shows, in a sentence.
        svg: the plot.
        keys: mark, colour and name of each line of its legend.
    """
    legend = "".join(
        f'<span class="{mark}" style="--key:var(--{colour})">{name}</span>'
        for mark, colour, name in keys
    )
    caption = f"<figcaption>{legend}</figcaption>" if legend else ""
    return f"<figure><h3>{title}</h3><p>{text}</p>{svg}{caption}</figure>"


def _empty(title: str, text: str) -> str:
    return f"{EMPTY}<h3>{title}</h3><p>{text}</p></figure>"

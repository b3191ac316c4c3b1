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
from workload.fraud.report.plots import (
    average_precision_plot,
    calibration_plot,
    drift_plot,
    precision_recall_plot,
)
from workload.fraud.report.pooling import TRAILING_DAYS
from workload.fraud.report.scores import no_claim
from workload.report.elements import Figure, Key
from workload.report.figures import failures_figure, speed_figure
from workload.report.plots import bars_plot
from workload.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from workload.fraud.report.drift import Drift
    from workload.fraud.report.pooling import Pooled
    from workload.fraud.report.scores import Scores, Step


def figures(
    steps: Sequence[Step],
    pooled: Pooled,
    recent: Sequence[tuple[date, Pooled]],
    changes: Drift,
) -> list[Figure]:
    """Draw every figure, those with nothing to draw last."""
    tested = [
        (step.committed.date, step.next_day)
        for step in steps
        if step.committed.date and step.next_day
    ]
    committed = [step.committed for step in steps]
    drawn = [speed_figure(committed), failures_figure(committed)]
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
        drawn.append(Figure("Next-day tests", "None yet: they begin with the second dataset."))
    return sorted(drawn, key=lambda figure: figure.svg is None)


def _average_precision(
    tested: Sequence[tuple[date, Scores]], recent: Sequence[tuple[date, Pooled]]
) -> Figure:
    title = "Average precision, one day ahead"
    scored = [
        (day, test.average_precision, test.ranks)
        for day, test in tested
        if test.average_precision is not None
    ]
    if not scored:
        return Figure(title, "No curve: there are no frauds.")
    firm = [(day, value) for day, value, ranks in scored if ranks]
    frail = [(day, value) for day, value, ranks in scored if not ranks]
    pooled = [
        (day, trail.average_precision)
        for day, trail in recent
        if trail.ranks and trail.average_precision is not None
    ]
    keys = [
        (pooled, Key("line", "model", f"last {TRAILING_DAYS} days pooled")),
        (firm, Key("dot", "model", "one day")),
        (frail, Key("ring", "model", f"fewer than {FEWEST_FRAUDS} frauds: no claim")),
        (scored, Key("dash", "muted", "random ranking")),
    ]
    return Figure(
        title,
        "The higher, the more frauds come before genuine transactions.",
        average_precision_plot(
            firm,
            frail,
            pooled,
            [(day, trail.base_rate) for day, trail in recent if trail.base_rate is not None],
            "Average precision by day",
        ),
        [key for points, key in keys if points],
    )


def _alarms(tested: Sequence[tuple[date, Scores]]) -> Figure:
    return Figure(
        "Frauds caught by alarms",
        f"Fraudulent transactions a day, and those scored above {THRESHOLD:g} before they were "
        "learned.",
        bars_plot(
            [(day, float(test.frauds)) for day, test in tested],
            [(day, float(test.true_positives or 0)) for day, test in tested],
            "Frauds by day, and those caught",
        ),
        (Key("box", "model", "caught"), Key("box", "soft", "missed")),
    )


def _precision_recall(pooled: Pooled, recent: Sequence[tuple[date, Pooled]]) -> Figure:
    title = "Precision and recall"
    if not pooled.ranks or pooled.base_rate is None:
        return Figure(title, f"No curve: {no_claim(pooled.frauds)}.")
    last = recent[-1][1] if recent and pooled.days > TRAILING_DAYS else None
    shown = last if last is not None and last.ranks else None
    keys = [Key("line", "model", f"all {plural(pooled.days, 'next-day test')}")]
    if shown is not None:
        keys.append(Key("line", "accent", f"last {TRAILING_DAYS} days"))
    alarms = None
    if pooled.recall is not None and pooled.precision is not None:
        alarms = pooled.recall, pooled.precision
        keys.append(Key("ring", "model", f"alarms at {THRESHOLD:g}"))
    return Figure(
        title,
        "Recall: share of frauds caught. Precision: share of alarms that are right.",
        precision_recall_plot(
            precision_recall_curve(pooled.histogram),
            precision_recall_curve(shown.histogram) if shown is not None else None,
            alarms,
            pooled.base_rate,
            "Precision over recall, pooled",
        ),
        [*keys, Key("dash", "muted", "random ranking")],
    )


def _cards(tested: Sequence[tuple[date, Scores]]) -> Figure:
    cards = [
        (day, test.fraud_cards, test.cards_found)
        for day, test in tested
        if test.fraud_cards is not None and test.cards_found is not None
    ]
    if not cards:
        return Figure("Compromised cards", "Not recorded.")
    return Figure(
        f"Compromised cards found among {CARDS} checked",
        f"If an investigator checks the {CARDS} cards ranked highest each day.",
        bars_plot(
            [(day, float(compromised)) for day, compromised, _ in cards],
            [(day, float(found)) for day, _, found in cards],
            "Compromised cards by day, and those found",
        ),
        (Key("box", "model", "found"), Key("box", "soft", "not found")),
    )


def _calibration(pooled: Pooled) -> Figure:
    title = "Calibration"
    if not pooled.ranks:
        return Figure(title, f"No curve: {no_claim(pooled.frauds)}.")
    return Figure(
        title,
        "What happened to transactions of like probability. On the dashed line, a probability of 1 "
        "in 10 is a fraud 1 time in 10.",
        calibration_plot(reliability(pooled.histogram), "Share of frauds by fraud probability"),
        (
            Key("dot", "model", f"{plural(pooled.days, 'next-day test')} pooled"),
            Key("dash", "muted", "perfect calibration"),
        ),
    )


def _drift(changes: Drift) -> Figure:
    title = "Drift"
    if not changes.shift:
        return Figure(
            title, f"None yet: scores are compared with those of the {BEFORE} days before."
        )
    return Figure(
        title,
        f"How far a day\N{RIGHT SINGLE QUOTATION MARK}s scores are from those of the {BEFORE} days "
        "before, and how many of its cards are new.",
        drift_plot(
            changes.shift, changes.new_cards, SHIFTED, "Stability index and new cards by day"
        ),
        (
            Key("line", "model", "stability index of scores"),
            Key("line", "accent", "share of new cards"),
            Key("dash", "muted", f"shifted: {SHIFTED:g}"),
        ),
    )

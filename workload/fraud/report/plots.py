"""The plots of the fraud report: ranking, calibration and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter

from workload.report.canvas import (
    ACCENT,
    DASHES,
    FEW_DAYS,
    MODEL,
    MUTED,
    SURFACE,
    as_svg,
    canvas,
    coordinates,
    date_axis,
    start_at_zero,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from workload.report.canvas import Points


def average_precision_plot(
    firm: Points, frail: Points, pooled: Points, base_rate: Points, label: str
) -> Markup:
    """Draw average precision by day, 0 to 1; `firm` or `frail` holds at least one day.

    Args:
        firm: days with frauds enough for a claim about ranking, as filled dots.
        frail: days with too few, as hollow dots.
        pooled: the trailing pooled value, as a line.
        base_rate: share of frauds, which a random ranking would score, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = canvas()
    few = len(firm) + len(frail) <= FEW_DAYS
    dots: dict[str, Any] = {
        "color": MODEL,
        "marker": "o",
        "linestyle": "",
        "markersize": 6 if few else 3,
    }
    axes.plot(*coordinates(base_rate), color=MUTED, linestyle=DASHES, linewidth=1.2)
    axes.plot(*coordinates(firm), alpha=0.5, markeredgewidth=0, **dots)
    axes.plot(*coordinates(frail), markerfacecolor=SURFACE, **dots)
    axes.plot(*coordinates(pooled), color=MODEL, linewidth=2.2)
    axes.set_ylim(-0.02, 1.02)
    date_axis(axes, [day for day, _ in [*firm, *frail]])
    return as_svg(figure, label)


def precision_recall_plot(
    everything: tuple[Sequence[float], Sequence[float]],
    recent: tuple[Sequence[float], Sequence[float]] | None,
    alarms: tuple[float, float] | None,
    base_rate: float,
    label: str,
) -> Markup:
    """Draw precision over recall.

    Args:
        everything: recall and precision of all next-day tests.
        recent: the same of the most recent ones; None leaves the line out.
        alarms: recall and precision of the alarms, as a hollow dot.
        base_rate: precision of a random ranking, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = canvas()
    axes.axhline(base_rate, color=MUTED, linestyle=DASHES, linewidth=1.2)
    if recent is not None:
        axes.plot(*recent, color=ACCENT, linewidth=1.6)
    axes.plot(*everything, color=MODEL, linewidth=2.2)
    if alarms is not None:
        axes.plot(
            *alarms,
            "o",
            color=MODEL,
            markersize=7,
            markerfacecolor=SURFACE,
            markeredgewidth=2,
            clip_on=False,
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return as_svg(figure, label)


def calibration_plot(groups: Sequence[tuple[float, float]], label: str) -> Markup:
    """Draw shares of frauds over probabilities, both logarithmic from 1 in 3,000 to 1.

    Args:
        groups: probability and share of frauds of each; a share of 0 lies on the lower edge.
        label: what a screen reader says.
    """
    figure, axes = canvas()
    lowest = 1 / 3000
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([lowest, 1], [lowest, 1], color=MUTED, linestyle=DASHES, linewidth=1.2)
    axes.plot(
        [max(predicted, lowest) for predicted, _ in groups],
        [max(share, lowest) for _, share in groups],
        color=MODEL,
        marker="o",
        markersize=5,
        linewidth=1.6,
        clip_on=False,
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()
    axes.set_xlim(lowest, 1)
    axes.set_ylim(lowest, 1)
    axes.set_xlabel("fraud probability")
    axes.set_ylabel("share of frauds")
    return as_svg(figure, label)


def drift_plot(shift: Points, new: Points, limit: float, label: str) -> Markup:
    """Draw two shares by day, and a limit of the first.

    Args:
        shift: stability index of the scores, at least one day.
        new: share of new cards.
        limit: from here on scores have shifted, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = canvas()
    axes.axhline(limit, color=MUTED, linestyle=DASHES, linewidth=1.2)
    shown = [(day, value) for day, value in new if day >= shift[0][0]]
    axes.plot(*coordinates(shown), color=ACCENT, linewidth=1.6)
    axes.plot(*coordinates(shift), color=MODEL, linewidth=2.2)
    start_at_zero(axes, [limit, *(value for _, value in [*shift, *shown])])
    date_axis(axes, [day for day, _ in shift])
    return as_svg(figure, label)

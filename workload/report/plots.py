"""The plots of every trainer: values by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import PathPatch
from matplotlib.path import Path

from workload.report.canvas import (
    ACCENT,
    FEW_DAYS,
    MODEL,
    SOFT,
    as_svg,
    canvas,
    coordinates,
    date_axis,
    start_at_zero,
)

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from workload.report.canvas import Points

FEW_BARS = 60
"""Up to this many bars, there is a gap between them."""


def line_plot(points: Points, label: str) -> Markup:
    """Draw a figure by day, on whatever scale it has; at least one day."""
    figure, axes = canvas()
    dots: dict[str, Any] = {"marker": "o", "markersize": 5} if len(points) <= FEW_DAYS else {}
    axes.plot(*coordinates(points), color=MODEL, linewidth=2.2, **dots)
    date_axis(axes, [day for day, _ in points])
    return as_svg(figure, label)


def bars_plot(
    total: Points, part: Points, label: str, *, colours: tuple[str, str] = (SOFT, MODEL)
) -> Markup:
    """Draw a bar a day, and inside it a second one for a part of it; at least one day."""
    figure, axes = canvas()
    _bars(axes, total, colours[0])
    _bars(axes, part, colours[1])
    start_at_zero(axes, [value for _, value in total])
    date_axis(axes, [day for day, _ in total])
    return as_svg(figure, label)


def stacked_bars_plot(lower: Points, upper: Points, label: str) -> Markup:
    """Draw two counts a day, the upper on top of the lower; the days of both are the same."""
    total = [(day, low + up) for (day, low), (_, up) in zip(lower, upper, strict=True)]
    return bars_plot(total, lower, label, colours=(ACCENT, MODEL))


def _bars(axes: Axes, points: Points, colour: str) -> None:
    """Draw all bars as one path, which keeps a year of them small."""
    half = 0.4 if len(points) <= FEW_BARS else 0.52  # many bars touch, or they would flicker
    bars = [
        Path([(x - half, 0), (x + half, 0), (x + half, y), (x - half, y), (0, 0)], closed=True)
        for x, y in zip(*coordinates(points), strict=True)
        if y
    ]
    if bars:
        path = Path.make_compound_path(*bars)
        axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0))

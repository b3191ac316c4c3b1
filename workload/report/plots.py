"""Plots of the page: inline SVG that takes its colours and its font from the page's style sheet."""

from __future__ import annotations

import datetime as dt
import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    Points = Sequence[tuple[dt.date, float]]

INCHES = (4.7, 2.8)
"""Size of a plot, 338 pixels wide: about its size on a phone, from where the page scales it up."""

COLOURS = {
    "#010101": "--text",
    "#020202": "--muted",
    "#030303": "--grid",
    "#040404": "--model",
    "#050505": "--fraud",
    "#060606": "--card",
    "#070707": "--soft",
}
"""Stand-ins drawn by Matplotlib, and the style sheet's variables put in their place."""
TEXT, MUTED, GRID, MODEL, FRAUD, CARD, SOFT = COLOURS

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": TEXT,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": GRID,
}

DASHES = (0, (4, 3))
FEW_DAYS = 8
"""Up to this many days, every day has its tick and a large dot."""
FEW_BARS = 60
MOST_TICKS = 6
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def average_precision_plot(
    firm: Points, frail: Points, pooled: Points, base_rate: Points, label: str
) -> str:
    """Draw average precision by day, 0 to 1; `firm` or `frail` holds at least one day.

    Args:
        firm: days with frauds enough for a claim about ranking, as filled dots.
        frail: days with too few, as hollow dots.
        pooled: the trailing pooled value, as a line.
        base_rate: share of frauds, which a random ranking would score, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = _canvas()
    few = len(firm) + len(frail) <= FEW_DAYS
    dots: dict[str, Any] = {
        "color": MODEL,
        "marker": "o",
        "linestyle": "",
        "markersize": 6 if few else 3,
    }
    axes.plot(*_xy(base_rate), color=MUTED, linestyle=DASHES, linewidth=1.2)
    axes.plot(*_xy(firm), alpha=0.5, markeredgewidth=0, **dots)
    axes.plot(*_xy(frail), markerfacecolor=CARD, **dots)
    axes.plot(*_xy(pooled), color=MODEL, linewidth=2.2)
    axes.set_ylim(-0.02, 1.02)
    _dates(axes, [day for day, _ in [*firm, *frail]])
    return _svg(figure, label)


def line_plot(points: Points, label: str) -> str:
    """Draw a figure by day, on whatever scale it has; at least one day."""
    figure, axes = _canvas()
    dots: dict[str, Any] = {"marker": "o", "markersize": 5} if len(points) <= FEW_DAYS else {}
    axes.plot(*_xy(points), color=MODEL, linewidth=2.2, **dots)
    _dates(axes, [day for day, _ in points])
    return _svg(figure, label)


def bars_plot(
    total: Points, part: Points, label: str, *, colours: tuple[str, str] = (SOFT, MODEL)
) -> str:
    """Draw a bar a day, and inside it a second one for a part of it; at least one day."""
    figure, axes = _canvas()
    _bars(axes, total, colours[0])
    _bars(axes, part, colours[1])
    _from_zero(axes, [value for _, value in total])
    _dates(axes, [day for day, _ in total])
    return _svg(figure, label)


def stacked_bars_plot(lower: Points, upper: Points, label: str) -> str:
    """Draw two counts a day, the upper on top of the lower; the days of both are the same."""
    total = [(day, low + up) for (day, low), (_, up) in zip(lower, upper, strict=True)]
    return bars_plot(total, lower, label, colours=(FRAUD, MODEL))


def precision_recall_plot(
    everything: tuple[Sequence[float], Sequence[float]],
    recent: tuple[Sequence[float], Sequence[float]] | None,
    alarms: tuple[float, float] | None,
    base_rate: float,
    label: str,
) -> str:
    """Draw precision over recall.

    Args:
        everything: recall and precision of all next-day tests.
        recent: the same of the most recent ones; None leaves the line out.
        alarms: recall and precision of the alarms, as a hollow dot.
        base_rate: precision of a random ranking, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = _canvas()
    axes.axhline(base_rate, color=MUTED, linestyle=DASHES, linewidth=1.2)
    if recent is not None:
        axes.plot(*recent, color=FRAUD, linewidth=1.6)
    axes.plot(*everything, color=MODEL, linewidth=2.2)
    if alarms is not None:
        axes.plot(
            *alarms,
            "o",
            color=MODEL,
            markersize=7,
            markerfacecolor=CARD,
            markeredgewidth=2,
            clip_on=False,
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return _svg(figure, label)


def calibration_plot(groups: Sequence[tuple[float, float]], label: str) -> str:
    """Draw shares of frauds over probabilities, both logarithmic from 1 in 3,000 to 1.

    Args:
        groups: probability and share of frauds of each; a share of 0 lies on the lower edge.
        label: what a screen reader says.
    """
    figure, axes = _canvas()
    lowest = 1 / 3000
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([lowest, 1], [lowest, 1], color=MUTED, linestyle=DASHES, linewidth=1.2)
    axes.plot(
        [max(said, lowest) for said, _ in groups],
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
    return _svg(figure, label)


def drift_plot(shift: Points, new: Points, limit: float, label: str) -> str:
    """Draw two shares by day, and a limit of the first.

    Args:
        shift: stability index of the scores, at least one day.
        new: share of new cards.
        limit: from here on scores have shifted, as a dashed line.
        label: what a screen reader says.
    """
    figure, axes = _canvas()
    axes.axhline(limit, color=MUTED, linestyle=DASHES, linewidth=1.2)
    shown = [(day, value) for day, value in new if day >= shift[0][0]]
    axes.plot(*_xy(shown), color=FRAUD, linewidth=1.6)
    axes.plot(*_xy(shift), color=MODEL, linewidth=2.2)
    _from_zero(axes, [limit, *(value for _, value in [*shift, *shown])])
    _dates(axes, [day for day, _ in shift])
    return _svg(figure, label)


def date_ticks(first: dt.date, last: dt.date) -> list[tuple[dt.date, str]]:
    """Choose days to mark between two days, and their labels; the year only where it changes."""
    days = (last - first).days + 1
    if days <= FEW_DAYS:
        ticks = [first + dt.timedelta(k) for k in range(days)]
    elif days <= 7 * MOST_TICKS * 2:
        step = 7 if days <= 7 * MOST_TICKS else 14
        ticks = [first + dt.timedelta(k) for k in range(0, days, step)]
    else:
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        step = next((n for n in (1, 2, 3, 6) if len(months) <= n * MOST_TICKS), 12)
        step *= max(1, -(-len(months) // (step * MOST_TICKS)))
        starts = [dt.date(n // 12, n % 12 + 1, 1) for n in months if n % step == 0]
        ticks = [day for day in starts if day >= first] or [first]
    by_month = days > 7 * MOST_TICKS * 2
    labels = []
    year = None
    for day in ticks:
        name = MONTHS[day.month - 1] if by_month else f"{day.day} {MONTHS[day.month - 1]}"
        labels.append(name if day.year == year else f"{name}\n{day.year}")
        year = day.year
    return list(zip(ticks, labels, strict=True))


_DECIMALS = re.compile(r"-?\d+\.\d\d+")
"""Coordinates with more digits than are seen; text between the tags keeps all of its digits."""


def _one_decimal(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"


def _canvas() -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0, pad=6)
        axes.grid(axis="y", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, axes


def _bars(axes: Axes, points: Points, colour: str) -> None:
    """Draw all bars as one path, which keeps a year of them small."""
    half = 0.4 if len(points) <= FEW_BARS else 0.52  # many bars touch, or they would flicker
    bars = [
        Path([(x - half, 0), (x + half, 0), (x + half, y), (x - half, y), (0, 0)], closed=True)
        for x, y in zip(*_xy(points), strict=True)
        if y
    ]
    if bars:
        path = Path.make_compound_path(*bars)
        axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0))


def _from_zero(axes: Axes, values: Sequence[float]) -> None:
    axes.set_ylim(0, (max(values) or 1.0) * 1.06)
    whole = all(float(value).is_integer() for value in values)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=whole, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _dates(axes: Axes, days: Sequence[dt.date]) -> None:
    first, last = min(days), max(days)
    margin = max(0.7, 2.5 - (last - first).days / 2)
    axes.set_xlim(first.toordinal() - margin, last.toordinal() + margin)
    ticks = date_ticks(first, last)
    axes.set_xticks([day.toordinal() for day, _ in ticks], labels=[name for _, name in ticks])


def _xy(points: Points) -> tuple[list[float], list[float]]:
    return [float(day.toordinal()) for day, _ in points], [value for _, value in points]


def _svg(figure: Figure, label: str) -> str:
    """Render without anything that varies, and leave size, font and colours to the page.

    `label` is trusted text, another for each plot of a page.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": label}):  # makes ids unique in the page
        figure.savefig(buffer, format="svg")
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"(?s)<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg)
    svg = re.sub(
        r'(?s)^<svg .*?viewBox="([^"]*)"[^>]*>',
        f'<svg viewBox="\\1" role="img" aria-label="{label}">',
        svg,
    )
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: _DECIMALS.sub(_one_decimal, tag[0]), svg)
    svg = re.sub(r' font-family: [^;"]*;| transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg).replace("xlink:href", "href")
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.strip()

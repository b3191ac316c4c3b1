"""What a plot is drawn on: inline SVG with the colours and the font of the page's style sheet."""

from __future__ import annotations

import datetime as dt
import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
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
    "#050505": "--accent",
    "#060606": "--surface",
    "#070707": "--soft",
}
"""Stand-ins drawn by Matplotlib, and the style sheet's variables put in their place."""
TEXT, MUTED, GRID, MODEL, ACCENT, SURFACE, SOFT = COLOURS

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
MOST_TICKS = 6
LARGEST = 1e100
"""Larger values are drawn as this one: near the largest float, Matplotlib finds no ticks."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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


def canvas() -> tuple[Figure, Axes]:
    """Return an empty plot and its axes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0, pad=6)
        axes.grid(axis="y", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, axes


def start_at_zero(axes: Axes, values: Sequence[float]) -> None:
    """Let the vertical axis reach from 0 to above the highest of `values`, at least one."""
    axes.set_ylim(0, min(max(values) or 1.0, LARGEST) * 1.06)
    whole = all(float(value).is_integer() for value in values)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=whole, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def date_axis(axes: Axes, days: Sequence[dt.date]) -> None:
    """Let the horizontal axis show all of `days`, at least one."""
    first, last = min(days), max(days)
    margin = max(0.7, 2.5 - (last - first).days / 2)
    axes.set_xlim(first.toordinal() - margin, last.toordinal() + margin)
    ticks = date_ticks(first, last)
    axes.set_xticks([day.toordinal() for day, _ in ticks], labels=[name for _, name in ticks])


def coordinates(points: Points) -> tuple[list[float], list[float]]:
    """Return the places of days on the axis of `date_axis`, and their values."""
    return (
        [float(day.toordinal()) for day, _ in points],
        [min(max(value, -LARGEST), LARGEST) for _, value in points],
    )


def as_svg(figure: Figure, label: str) -> Markup:
    """Render without anything that varies, and leave size, font and colours to the page.

    Args:
        figure: as from `canvas`.
        label: what a screen reader says; text of our own, another for each plot of a page.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": label}):  # makes ids unique in the page
        figure.savefig(buffer, format="svg")
    image = buffer.getvalue()
    image = image[image.index("<svg") :]
    image = re.sub(r"(?s)<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", image)
    image = re.sub(
        r'(?s)^<svg .*?viewBox="([^"]*)"[^>]*>',
        f'<svg viewBox="\\1" role="img" aria-label="{label}">',
        image,
    )
    image = re.sub(r'<g id="[^"]*"', "<g", image)
    image = re.sub(r"<[^>]+>", lambda tag: _DECIMALS.sub(_one_decimal, tag[0]), image)
    image = re.sub(r' font-family: [^;"]*;| transform="rotate\(-?0 [^"]*"', "", image)
    image = re.sub(r"\s*\n\s*", "\n", image).replace("xlink:href", "href")
    for colour, variable in COLOURS.items():
        image = image.replace(colour, f"var({variable})")
    return Markup(image.strip())  # noqa: S704 - no text from outside is drawn

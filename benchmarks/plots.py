"""The picture of this queue beside others, drawn from the stored results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

_OURS, _OTHER = "#1b6ca8", "#b8bec6"


def draw_queues(sections: dict[str, Any], path: Path) -> None:
    """Draw bars of jobs per second and of seconds until a killed worker's job runs again.

    Args:
        sections: what `results.json` holds; nothing is drawn before both sections are measured.
        path: the SVG file.
    """
    if not {"peers", "recovery"} <= sections.keys():
        return
    rates, delays = (table["rows"] for table in sections["peers"]["tables"])
    recovery = sections["recovery"]["tables"][0]["rows"]
    ours = next(row for row in recovery if "renewer" in row[0])
    speed = {_short(row[0]): _number(row[1]) for row in rates if "next claim" not in row[0]}
    wait: dict[str, float] = {"this queue": float(ours[3])}
    wait |= {row[0]: _number(row[1]) for row in delays if row[0] != "tutorial"}
    over = {row[0] for row in delays if row[1].startswith("over")}
    with mpl.rc_context({"svg.hashsalt": "queues", "font.size": 9}):
        figure = Figure(figsize=(8.5, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _bars(left, speed, "jobs/s, claim and completion, one worker", set())
        _bars(right, wait, "seconds until a killed worker's job runs again", over)
        figure.savefig(path, metadata={"Date": None})


def _bars(axes: Any, values: dict[str, float], title: str, over: set[str]) -> None:  # noqa: ANN401
    names = list(reversed(values))
    colours = [_OURS if name == "this queue" else _OTHER for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    labels = [f"{'over ' if name in over else ''}{values[name]:,.0f}" for name in names]
    axes.bar_label(bars, labels, padding=3)
    axes.set_title(title, fontsize=9)
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name.partition(":")[0].replace("tutorial", "tutorial's loop")


def _number(text: str) -> float:
    """Return the median of a cell such as `1,738 (780-2,413)`."""
    found = re.search(r"[\d.,]+", text)
    return float(found[0].replace(",", "")) if found else 0.0

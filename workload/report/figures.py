"""The figures of every trainer: how fast each dataset was learned, and what went wrong before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.report.elements import Figure, Key
from workload.report.plots import bars_plot, stacked_bars_plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workload.report.record import Committed


def speed_figure(steps: Sequence[Committed]) -> Figure:
    """Draw how fast each dataset was learned."""
    title = "Rows per second"
    points = [(step.date, step.rows_per_second) for step in steps if step.date]
    timed = [(day, speed) for day, speed in points if speed is not None]
    if not timed:
        return Figure(title, "Not recorded.")
    return Figure(
        title,
        "Rows of a dataset over the seconds of preparing, training and writing.",
        bars_plot(timed, timed, "Rows per second by dataset"),
    )


def failures_figure(steps: Sequence[Committed]) -> Figure:
    """Draw how often each dataset failed, or crashed a worker, before it was committed."""
    title = "Failed attempts and crashes"
    if not steps:
        return Figure(title, "None.")
    if not any(step.attempts or step.crashes for step in steps):
        return Figure(title, "None: every dataset was committed at its first claim.")
    dated = [(step.date, step) for step in steps if step.date]
    if not dated:
        return Figure(title, "Not dated.")
    crashes = sum(step.crashes for step in steps)
    attempts = sum(step.attempts for step in steps)
    return Figure(
        title,
        "Per dataset, before it was committed; none of them changes the model.",
        stacked_bars_plot(
            [(day, float(step.crashes)) for day, step in dated],
            [(day, float(step.attempts)) for day, step in dated],
            "Failed attempts and crashes by dataset",
        ),
        (
            Key("box", "model", f"lease expired, worker lost: {crashes}"),
            Key("box", "accent", f"attempt failed: {attempts}"),
        ),
    )

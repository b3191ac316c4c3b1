"""The metrics of any trainer's next-day tests, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workload.report.record import Committed


def metric_names(steps: Sequence[Committed]) -> list[str]:
    """Return every metric of the next-day tests, those of the headline first."""
    found = {name for step in steps for name in step.next_day or ()}
    first = [name for name in (steps[-1].headline if steps else ()) if name in found]
    return [*first, *sorted(found - set(first))]


def by_day(steps: Sequence[Committed], name: str) -> list[float]:
    """Return a metric's finite values in the next-day tests, in order."""
    values = [(step.next_day or {}).get(name) for step in steps]
    return [value for value in values if value is not None and math.isfinite(value)]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None without values."""
    return math.fsum(value / len(values) for value in values) if values else None


def in_words(name: str) -> str:
    """Return a metric's name as people read it."""
    return name.replace("_", " ")

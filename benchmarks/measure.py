"""What one measurement costs, and how several are compared.

The machine may be shared, and its speed changes from second to second. So all subjects of a
comparison run in turn, A B C A B C, and a ratio is taken within each turn before the median is
taken of the ratios.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

Name = TypeVar("Name", bound="Hashable")
Outcome = TypeVar("Outcome")

WAIT_SECONDS = 300.0
"""Only a measurement that has failed waits so long."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What some work took.

    Args:
        units: how many jobs or rows.
        wall: seconds passed.
        cpu: seconds of processor time of this process.
        server: the same of the Redis server.
    """

    units: int
    wall: float
    cpu: float
    server: float = 0.0

    @property
    def rate(self) -> float:
        """Units per second passed."""
        return self.units / self.wall

    @property
    def cpu_rate(self) -> float:
        """Units per second of this process's processor time."""
        return self.units / self.cpu


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of at least one value."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, digits: int = 0) -> str:
        """Write the spread for a table: median, and in brackets the extremes."""
        median, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.low, self.high))
        return f"{median} ({low}\N{EN DASH}{high})"


def timed(work: Callable[[], int], server: Callable[[], float] = lambda: 0.0) -> Cost:
    """Run `work`, which returns its units; `server` reads the server's processor time."""
    served, cpu, begin = server(), time.process_time(), time.perf_counter()
    units = work()
    wall = time.perf_counter() - begin
    return Cost(units, wall, time.process_time() - cpu, server() - served)


def in_turn(
    subjects: Mapping[Name, Callable[[], Outcome]], rounds: int, *, warm_up: bool = True
) -> dict[Name, list[Outcome]]:
    """Run every subject in each of `rounds` turns.

    Args:
        subjects: by name.
        rounds: how many turns count.
        warm_up: whether a turn that does not count comes before.
    """
    if warm_up:
        for subject in subjects.values():
            subject()
    outcomes: dict[Name, list[Outcome]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            outcomes[name].append(subject())
    return outcomes


def until(look: Callable[[], Outcome], what: str, pause: float) -> Outcome:
    """Wait until `look` returns something true, and return it.

    Args:
        look: asks.
        what: is waited for, for the error message.
        pause: seconds between two looks.

    Raises:
        RuntimeError: it does not come within `WAIT_SECONDS`.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {WAIT_SECONDS:.0f} s: {what}")
        time.sleep(pause)
    return found


def ratio(costs: Iterable[Cost], reference: Iterable[Cost]) -> Spread:
    """Return how many times faster than `reference`, turn by turn."""
    return Spread.of(mine.rate / other.rate for mine, other in zip(costs, reference, strict=True))


def cpu_ratio(costs: Iterable[Cost], reference: Iterable[Cost]) -> Spread:
    """Return how many times less processor time, client and server together, turn by turn."""
    return Spread.of(
        ((other.cpu + other.server) / other.units) / ((mine.cpu + mine.server) / mine.units)
        for mine, other in zip(costs, reference, strict=True)
    )

"""Seconds of a dataset's way through a worker, stage by stage."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds spent in each stage since it was made."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage: it took the time since the last one ended."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 6)
        self._last = now

    @property
    def total(self) -> float:
        """Return the seconds of all stages, without the wait for other workers."""
        return sum(self.seconds.values()) - self.seconds.get("wait", 0.0)

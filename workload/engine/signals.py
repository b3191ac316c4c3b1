"""SIGTERM and SIGINT: the work is handed back at once, the process leaves at a safe point."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workload.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Termination:
    """Turns SIGTERM and SIGINT into SystemExit(75).

    The exit is raised between two instructions of the main thread, at once, unless that thread is
    inside `deferred`; SystemExit passes every `except Exception`.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    def install(self) -> None:
        """Take over both signals; call it in the main thread."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Keep a short exchange whole: the exit waits for its end."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self.raise_if_requested()

    def raise_if_requested(self) -> None:
        """Exit if a signal has come."""
        if self.requested:
            raise SystemExit(ExitCode.HANDED_BACK)

    def pause(self, seconds: float) -> None:
        """Sleep; a signal ends it, also inside `deferred`."""
        deadline = time.monotonic() + seconds
        self.raise_if_requested()
        while (remaining := deadline - time.monotonic()) > 0:
            time.sleep(min(remaining, 0.1))
            self.raise_if_requested()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        repeated, self.requested = self.requested, True
        if not self._deferred and not repeated:
            self.raise_if_requested()

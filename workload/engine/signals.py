"""SIGTERM and SIGINT: the work is handed back at once, the process leaves at a safe point.

A process that a trainer forks gets none of this: what it is sent is its own affair.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from workload.errors import ExitCode, Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


HAND_BACK = frozenset({signal.SIGTERM, signal.SIGINT})
"""What ends a worker in order."""


class Termination:
    """Turns SIGTERM and SIGINT into `Terminated`, which exits with 75.

    It is raised between two instructions of the main thread, at once, unless that thread is inside
    `deferred`.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    def install(self) -> None:
        """Take over both signals; call it in the main thread."""
        keep_forks_clean()
        for number in HAND_BACK:
            signal.signal(number, self._handle)

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
            raise Terminated(ExitCode.HANDED_BACK)

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


class _Forks:
    """Gives a forked process the default signals before any can reach it."""

    def __init__(self) -> None:
        self._mask: set[int] = set()

    def before(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, HAND_BACK)

    def in_parent(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in HAND_BACK:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


@cache
def keep_forks_clean() -> None:
    """Have all processes forked from now on end by SIGTERM and SIGINT, and tell no renewer."""
    forks = _Forks()
    os.register_at_fork(
        before=forks.before, after_in_parent=forks.in_parent, after_in_child=forks.in_child
    )


@contextmanager
def in_this_process() -> Iterator[None]:
    """End a process that was forked inside and comes back by an exception: the work is not its."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            error = sys.exception()
            code = (error.code or 0) if isinstance(error, SystemExit) else 1
            os._exit(code if isinstance(code, int) else 1)

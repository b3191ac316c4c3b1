"""Repeats what may succeed later, with growing pauses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


def retry(
    attempt: Callable[[bool], T],
    may_pass: Callable[[Exception, float], bool],
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
    *,
    longest_pause: float = LONGEST_PAUSE_SECONDS,
) -> T:
    """Return what `attempt` returns, repeating it while it fails with an error that may pass.

    Pauses double from `FIRST_PAUSE_SECONDS` up to `longest_pause`. An error that may not pass, and
    the last one when time is up, is raised as it is.

    Args:
        attempt: told whether it is a repetition.
        may_pass: given an error and the seconds since the first one, says whether it may pass.
        seconds: how long to repeat, from the first error on.
        pause: called with the seconds to wait; may raise to give up early.
        longest_pause: seconds.
    """
    failing_since: float | None = None
    delay = min(FIRST_PAUSE_SECONDS, longest_pause)
    while True:
        try:
            return attempt(failing_since is not None)
        except Exception as error:
            now = time.monotonic()
            if failing_since is None:
                failing_since = now
            remaining = failing_since + seconds - now
            if not may_pass(error, now - failing_since) or remaining <= 0:
                raise
        pause(min(delay, remaining))
        delay = min(delay * 2, longest_pause)

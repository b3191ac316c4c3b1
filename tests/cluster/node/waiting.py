"""Waiting for what will become true, with an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.1

T = TypeVar("T")


class TooLate(AssertionError):
    """Something did not become true in time."""


def until(
    what: str,
    condition: Callable[[], T | None],
    seconds: float = 180,
    story: Callable[[], object] | None = None,
) -> T:
    """Ask again and again, and return the first answer that is true.

    Args:
        what: what is waited for, for the error.
        condition: the question; a server that can't be reached is an answer that is not true.
        seconds: how long at most.
        story: tells what happened instead; the last answer when not given.

    Raises:
        TooLate: with the story.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            answer = condition()
        except (requests.ConnectionError, requests.Timeout) as error:
            last = error
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() > deadline:
            raise TooLate(f"{what}: not in {seconds:g} s: {story() if story else repr(last)}")
        time.sleep(POLL_SECONDS)

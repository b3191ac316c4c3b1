"""Runs of numbers in pickles, left to the fast C unpickler."""

from __future__ import annotations

import pickle
import re
from typing import Any

NUMBERS = frozenset([pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT])
"""Opcodes that are followed by a number of fixed width."""

_RUN = re.compile(rb"(?:K.|M..|J.{4}|G.{8})++", re.DOTALL)


def read_numbers(data: bytes | memoryview, start: int) -> tuple[list[Any], int]:
    """Return the numbers, such as a column of objects, from one of `NUMBERS` on, and their end.

    The pattern admits number opcodes only, so nothing else can be in what is unpickled.

    Raises:
        EOFError: the first one is cut off.
    """
    run = _RUN.match(data, start)
    if run is None:
        raise EOFError
    content = pickle.PROTO + b"\x04" + pickle.MARK + run[0] + pickle.LIST + pickle.STOP
    return pickle.loads(content), run.end()  # noqa: S301 - numbers only

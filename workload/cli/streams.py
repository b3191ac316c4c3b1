"""Standard streams as callers leave them: closed, without a reader, of few characters."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_STREAMS = ("stdin", "r"), ("stdout", "w"), ("stderr", "w")
_ESCAPED = "workload.escaped"


def prepare() -> None:
    """Have a stream that is closed be the null device, and any character be shown somehow.

    Otherwise the next file to be opened takes the number of a closed stream, and gets its output.
    """
    codecs.register_error(_ESCAPED, _escaped)
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


@contextmanager
def reserved() -> Iterator[TextIO]:
    """Yield standard output; what anything else writes there goes to standard error meanwhile."""
    sys.stdout.flush()
    number = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(number, "w", encoding="utf-8", closefd=False) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(number, 1)
        os.close(number)


def finish() -> None:
    """Write what is left; drop what nobody takes, which the interpreter would complain about."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].replace("\N{NO-BREAK SPACE}", " ")
    return text.encode("ascii", "backslashreplace").decode(), error.end

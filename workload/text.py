"""How text from outside, counts and figures are written for people."""

from __future__ import annotations

import logging
import sys

NONE = "n/a"
"""Stands for a figure that is undefined."""


def printable(text: object) -> str:
    r"""Return text on one line, with invisible and control characters as escapes like \n.

    Anyone may name a dataset: a terminal would act on such characters, a log would break at them.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def excerpt(error: object, length: int = 120) -> str:
    """Return the begin of what a library says of a file: it may repeat the file's own bytes."""
    text = printable(error).strip()
    return text if len(text) <= length else f"{text[:length]}…"


def warn(*lines: str) -> None:
    """Show lines from outside on standard error."""
    for line in lines:
        print(printable(line), file=sys.stderr)  # noqa: T201


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: "1 day", "1,200 days"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def decimals(value: float | None, digits: int = 3) -> str:
    """Return a figure with so many decimals, or as many digits where these would all be zeros."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text if float(text) or not value else f"{value:.{digits}g}"


def significant(value: float | None, digits: int = 5) -> str:
    """Return a figure of any size with so many digits; whole numbers keep all of theirs."""
    if value is None:
        return NONE
    return f"{value:,.{digits}g}" if value % 1 else f"{value:,.0f}"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as a percentage, with a space before the sign where no line breaks."""
    return NONE if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


class PrintableFormatter(logging.Formatter):
    """Keep each record on one line of printable characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Format as usual, then escape."""
        return printable(super().format(record))

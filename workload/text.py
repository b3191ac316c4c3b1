"""Text from outside, made safe for logs and terminals."""

from __future__ import annotations

import logging


def printable(text: str) -> str:
    """Escapes what a terminal would act on or a log would break at: anyone may name a dataset."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


class PrintableFormatter(logging.Formatter):
    """Keeps each record on one line of printable characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats as usual, then escapes."""
        return printable(super().format(record))

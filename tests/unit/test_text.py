"""Text from outside reaches logs and terminals as one harmless line."""

from __future__ import annotations

import logging

import pytest

from workload.text import PrintableFormatter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("datasets/training/2018-04-01.pkl", "datasets/training/2018-04-01.pkl"),
        ("ünï ✓", "ünï ✓"),
        ("a\n2026 Committed: b", "a\\n2026 Committed: b"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_whatever_a_terminal_acts_on_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


def test_log_record_is_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "Processing: %s", ("a\nb",), None)
    assert PrintableFormatter("%(message)s").format(record) == "Processing: a\\nb"

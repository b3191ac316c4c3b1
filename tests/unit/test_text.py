"""Text from outside is shown as one harmless line, and figures as what they are."""

from __future__ import annotations

import logging
import math

import pytest

from workload.text import (
    PrintableFormatter,
    decimals,
    excerpt,
    percent,
    plural,
    printable,
    significant,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("datasets/training/2018-04-01.pkl", "datasets/training/2018-04-01.pkl"),
        ("ünï ✓", "ünï ✓"),
        ("a\n2026 Committed: b", "a\\n2026 Committed: b"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        (None, "None"),
        (["a\n"], "['a\\n']"),
    ],
)
def test_whatever_a_terminal_acts_on_is_shown_instead(text: object, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


def test_excerpt_of_what_a_library_says_is_short_and_on_one_line() -> None:
    assert excerpt(ValueError("bad\nthing")) == "bad\\nthing"
    assert len(excerpt("x" * 1000)) < 130


def test_log_record_is_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "Processing: %s", ("a\nb",), None)
    assert PrintableFormatter("%(message)s").format(record) == "Processing: a\\nb"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 days"), (1, "1 day"), (2, "2 days"), (1234, "1,234 days")]
)
def test_a_noun_agrees_with_its_count(count: int, text: str) -> None:
    assert plural(count, "day") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0.0, "0.000"),
        (0.5, "0.500"),
        (0.9996, "1.000"),
        (0.0005, "0.001"),
        (0.0004, "0.0004"),
        (-0.00012345, "-0.000123"),
        (22.3, "22.300"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_only_zero_is_shown_as_zero(value: float | None, text: str) -> None:
    assert decimals(value) == text


def test_decimals_are_as_many_as_asked_for() -> None:
    assert decimals(0.99757, 5) == "0.99757"
    assert decimals(0.00001, 4) == "1e-05"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0.0, "0"),
        (-3.0, "-3"),
        (0.00012345678, "0.00012346"),
        (22.30212, "22.302"),
        (1234.5678, "1,234.6"),
        (1234567.0, "1,234,567"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_figures_of_any_size_have_5_digits_and_whole_ones_all_of_theirs(
    value: float | None, text: str
) -> None:
    assert significant(value) == text


def test_a_percentage_is_never_parted_from_its_sign() -> None:
    assert percent(0.99314) == "99.31\N{NO-BREAK SPACE}%"
    assert percent(0.25, 0) == "25\N{NO-BREAK SPACE}%"
    assert percent(None) == "n/a"

"""How counts, shares and foreign text are written on the page."""

from __future__ import annotations

from html import escape

from workload.fraud.report.summary import printable

NONE = "n/a"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def three(value: float | None) -> str:
    """Write a metric within 0 to 1 with three decimals."""
    return NONE if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Write a share as a percentage."""
    return NONE if value is None else f"{100 * value:.2f}&nbsp;%"


def no_claim(frauds: int) -> str:
    """Say why a set with so few frauds is not judged by its ranking."""
    return f"no ranking claim is possible with {plural(frauds, 'fraud')}"


def text(value: object) -> str:
    """Write text of foreign origin: escaped for HTML, invisible characters shown."""
    return escape(printable(value))

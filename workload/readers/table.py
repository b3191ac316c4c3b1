"""What tables of all formats have in common: names, columns of a kind, limits, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workload.errors import DatasetRefused
from workload.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MAX_ROWS = 20_000_000
"""Most rows of a day; a few bytes of parquet can claim billions."""
MAX_TEXT = 64
"""Most bytes of a moment as text."""


class Kind(StrEnum):
    """What a column is to hold, in the words of an error."""

    INTEGERS = "integers"
    NUMBERS = "numbers"
    MOMENTS = "dates with time such as 2018-04-01 09:30:00, or nanoseconds since 1970"


@dataclass(frozen=True, slots=True)
class Table:
    """What the formats have in common.

    Attributes:
        names: of the columns.
        column: decodes the column of a name, which is to be of a kind; shape (rows,).
    """

    names: Sequence[str]
    column: Callable[[str, Kind], NDArray[Any]]


def check_rows(rows: int) -> None:
    """Refuse a table without rows, or with too many.

    Raises:
        DatasetRefused: it has none, or more than `MAX_ROWS`.
    """
    if rows == 0:
        raise DatasetRefused("has no rows; at least one is needed")
    if rows > MAX_ROWS:
        raise DatasetRefused(f"has {rows} rows; at most {MAX_ROWS} are read")


def wrong_type(name: str, kind: Kind, found: str) -> DatasetRefused:
    """Return the refusal of a column whose type is not of its kind."""
    return DatasetRefused(f"column {name} is of type {found}; allowed are {kind}")


def not_allowed(name: str, row: int, value: object, kind: Kind) -> DatasetRefused:
    """Return the refusal of a value that is not of the column's kind."""
    return DatasetRefused(
        f"column {name}, row {row}: {shown(value)} is not allowed; allowed are {kind}"
    )


def other_zone(name: str, row: int, value: str, *, zoned: bool) -> DatasetRefused:
    """Return the refusal of a moment without a time zone where row 0 is `zoned`, or with one."""
    has = "has no time zone, row 0 has one" if zoned else "has a time zone, row 0 has none"
    return DatasetRefused(f"column {name}, row {row}: {shown(value)} {has}")


def missing(name: str, row: int) -> DatasetRefused:
    """Return the refusal of a value that is not there."""
    return DatasetRefused(f"column {name}, row {row}: the value is missing")

"""Day files: one day of card transactions as pickle, parquet or csv, read and checked.

A file is read once; its hash and its rows come from the same bytes, and whether it is refused
depends on nothing but these bytes (and on the date promised by its name). Whatever is wrong with
it is one `DatasetRefused` that names the column, the row (counted from 0) and what is allowed.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from workload.errors import DatasetRefused
from workload.readers.columns import integers, moments, numbers, outside
from workload.readers.formats import read_table
from workload.readers.table import Kind, Table, check_rows
from workload.readers.values import first_wrong, shown
from workload.share.dataset_file import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from workload.share.dataset_file import DatasetFile

LABELS = ("TX_FRAUD_SCENARIO", "TX_FRAUD")
"""Label columns of the handbook's files; any other column of integers can be named instead."""

_COLUMNS = ("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT")
_LABEL_LIKE = ("txfraudscenario", "txfraud", "isfraud", "fraud", "label", "class", "target")

log = logging.getLogger("workload")

_SECONDS_PER_DAY = 86_400
_MAX_LABEL = 127
_ALL = slice(None)

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """The transactions of one day, in order of (second, transaction); all arrays read-only."""

    date: dt.date
    """UTC calendar day of every row."""
    transaction: NDArray[np.int64]
    """TRANSACTION_ID, shape (rows,), 0 or more, each once."""
    second: NDArray[np.int32]
    """Seconds after midnight UTC, shape (rows,), ascending."""
    customer: NDArray[np.int64]
    """CUSTOMER_ID, shape (rows,), any integers from 0."""
    terminal: NDArray[np.int64]
    """TERMINAL_ID, shape (rows,), any integers from 0."""
    amount: NDArray[np.float64]
    """TX_AMOUNT, shape (rows,), finite, 0 or more."""
    scenario: NDArray[np.int8]
    """The label, shape (rows,): 0 genuine, above 0 fraud. All 0 when read without labels."""
    sha256: str
    """Hex digest of the file's bytes; "" when the rows do not come from a file."""

    @property
    def rows(self) -> int:
        """Number of transactions, at least 1."""
        return self.second.size

    @property
    def fraud(self) -> NDArray[np.bool_]:
        """Whether each transaction is a fraud, shape (rows,)."""
        return self.scenario > 0


def read_day(
    path: Path,
    *,
    label: str = LABELS[0],
    date: dt.date | None = None,
    labelled: bool = True,
) -> Day:
    """Read and check a day file.

    Needed columns: TRANSACTION_ID, CUSTOMER_ID, TERMINAL_ID (integers, also as objects, or floats
    without fractions), TX_DATETIME (dates with time; nanoseconds since 1970 as integers; ISO 8601
    in csv; UTC unless a zone is given), TX_AMOUNT (numbers) and the label. Others are not read.

    Args:
        path: a file whose name ends in one of `SUFFIXES`.
        label: name of the label column, integers from 0 to 127, fraud above 0.
        date: the day all rows must lie on; None for whichever day it is.
        labelled: False to score data without labels: the label column is then not looked at.

    Raises:
        DatasetRefused: the bytes rule the file out; the message does not repeat the path.
        OSError: the file cannot be read.
        MemoryError: there is not enough memory for it now.
    """
    return day_from_file(read_file(path, date), label=label, labelled=labelled)


def day_from_file(file: DatasetFile, *, label: str = LABELS[0], labelled: bool = True) -> Day:
    """Decode and check a file that has been read.

    Raises:
        DatasetRefused: as `read_day`.
        MemoryError: there is not enough memory for it now.
    """
    try:
        needed = [*_COLUMNS, label] if labelled else [*_COLUMNS]
        table = read_table(file.content, file.suffix, needed)
        return _day(table, label if labelled else None, file.date, file.sha256)
    except (DatasetRefused, MemoryError, ImportError):
        raise
    except Exception as error:  # pyarrow documents no closed set of errors for damaged bytes
        raise DatasetRefused(f"is not a readable {file.suffix} file ({_line(error)})") from error


def day_from_frame(
    frame: pd.DataFrame,
    *,
    label: str = LABELS[0],
    date: dt.date | None = None,
    labelled: bool = True,
    sha256: str = "",
) -> Day:
    """Return a day from rows in memory, after the same checks; `frame` is left as it is.

    Raises:
        DatasetRefused: as `read_day`.
    """

    def column(name: str, _kind: Kind) -> NDArray[Any]:
        series = frame[name]
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        values: NDArray[Any] = series.to_numpy()
        return values

    labels: list[object] = list(frame.columns)
    names = [name if isinstance(name, str) else "" for name in labels]
    return _day(Table(names, column), label if labelled else None, date, sha256)


def _line(error: Exception) -> str:
    """Return an exception as part of a line: its first line, or its type when it has no words."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return text if len(text) <= 160 else f"{text[:160]} ..."  # noqa: PLR2004 - two lines of 80


def _day(table: Table, label: str | None, date: dt.date | None, sha256: str) -> Day:
    needed = [*_COLUMNS, label] if label is not None else [*_COLUMNS]
    names = list(table.names)
    if missing := [name for name in needed if name not in names]:
        raise _lacking(names, missing, label)
    if twice := [name for name in needed if names.count(name) > 1]:
        raise DatasetRefused(f"has the column {twice[0]} more than once")

    values = table.column("TX_DATETIME", Kind.MOMENTS)
    check_rows(values.size)
    day, second = _seconds(values, date)
    if not second.any():
        log.warning("No time of day, all rows are at 00:00:00: date=%s rows=%d", day, second.size)
    transaction = _identifiers(table, "TRANSACTION_ID", second.size)
    customer = _identifiers(table, "CUSTOMER_ID", second.size)
    terminal = _identifiers(table, "TERMINAL_ID", second.size)
    amount = _amounts(table, second.size)
    scenario = np.zeros(second.size, dtype=np.int8)
    if label is not None:
        scenario = _labels(table, label, second.size)
    order = _order(second, transaction)
    return Day(
        date=day,
        transaction=_settled(transaction, order),
        second=_settled(second, order),
        customer=_settled(customer, order),
        terminal=_settled(terminal, order),
        amount=_settled(amount, order),
        scenario=_settled(scenario, order),
        sha256=sha256,
    )


def _lacking(names: Sequence[str], missing: Sequence[str], label: str | None) -> DatasetRefused:
    """Return the refusal of a table without some columns, and what may be meant by others."""
    plural = "s" if len(missing) > 1 else ""
    reason = f"lacks the column{plural} {', '.join(missing)}"
    for name in missing:
        for found in names:
            if _plain(found) == _plain(name):
                return DatasetRefused(f"{reason}; it has {shown(found)}: rename it to {name}")
    if label in missing:
        for found in names:
            if _plain(found) in _LABEL_LIKE:
                return DatasetRefused(
                    f"{reason}; if {shown(found)} is the label, say so: fraud?label={found[:40]}"
                )
    return DatasetRefused(reason)


def _plain(name: str) -> str:
    """Return the letters and digits of a name, which is how it is told from others by eye."""
    return "".join(filter(str.isalnum, name)).lower()


def _settled(array: NDArray[_T], order: NDArray[np.intp] | slice) -> NDArray[_T]:
    ordered = np.ascontiguousarray(array[order])
    ordered.flags.writeable = False
    return ordered


def _order(second: NDArray[np.int32], transaction: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """Return row numbers by (second, transaction), or everything if the rows are in order."""
    ascending = bool((transaction[1:] > transaction[:-1]).all())
    if ascending and bool((second[1:] >= second[:-1]).all()):
        return _ALL
    if not ascending:
        by_number = np.argsort(transaction, kind="stable")
        again = np.flatnonzero(np.diff(transaction[by_number]) == 0)
        if again.size:
            row = int(by_number[again + 1].min())
            raise DatasetRefused(
                f"column TRANSACTION_ID, row {row}: {transaction[row]} is there a second time"
            )
    return np.lexsort((transaction, second))


def _identifiers(table: Table, name: str, rows: int) -> NDArray[np.int64]:
    values = integers(table, name, rows)
    if (row := first_wrong(values < 0)) is not None:
        raise DatasetRefused(f"column {name}, row {row}: {values[row]} is negative")
    return values


def _labels(table: Table, name: str, rows: int) -> NDArray[np.int8]:
    values = integers(table, name, rows)
    if (row := first_wrong((values < 0) | (values > _MAX_LABEL))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {values[row]} is no label; allowed are 0 to {_MAX_LABEL}"
        )
    return values.astype(np.int8)


def _amounts(table: Table, rows: int) -> NDArray[np.float64]:
    name = "TX_AMOUNT"
    values = numbers(table, name, rows).astype(np.float64, copy=False)
    if (row := first_wrong(~((values >= 0.0) & (values < np.inf)))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {shown(values[row])} is no amount; allowed are finite "
            "numbers from 0"
        )
    return values


def _seconds(values: NDArray[Any], promised: dt.date | None) -> tuple[dt.date, NDArray[np.int32]]:
    """Return the day all rows lie on, and their seconds after its midnight, fractions cut off."""
    name = "TX_DATETIME"
    ticks, per_second = moments(values, name)
    per_day = per_second * _SECONDS_PER_DAY
    number = int(ticks[0]) // per_day
    try:
        day = dt.date(1970, 1, 1) + dt.timedelta(days=number)
    except OverflowError:
        raise outside(name, 0, values[0]) from None
    midnight = number * per_day
    if (row := first_wrong((ticks < midnight) | (ticks >= midnight + per_day))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {shown(values[row])} is not on {day}, the day of row 0; "
            "a file holds one day (UTC)"
        )
    if promised is not None and day != promised:
        raise DatasetRefused(f"column {name}: the rows are of {day}, the name promises {promised}")
    return day, ((ticks - midnight) // per_second).astype(np.int32)

"""Day files: one day of card transactions as pickle, parquet or csv, read and checked.

A file is read once; its hash and its rows come from the same bytes, and whether it is refused
depends on nothing but these bytes (and on the date promised by its name). Whatever is wrong with
it is one `DatasetRefused` that names the column, the row (counted from 0) and what is allowed.
"""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from workload.errors import DatasetRefused
from workload.share.dataset_file import MAX_BYTES, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from workload.share.dataset_file import DatasetFile

LABELS = ("TX_FRAUD_SCENARIO", "TX_FRAUD")
"""Label columns of the handbook's files; any other column of integers can be named instead."""

MAX_ROWS = 20_000_000
"""Most rows of a day; a few bytes of parquet can claim billions."""
MAX_EXPANSION = 100
"""Most times its own size a csv.gz may expand to; real ones reach about 10."""

_SECONDS_PER_DAY = 86_400
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SECONDS_IN = {"m": 60, "h": 3_600, "D": 86_400}
_MAX_MINUTES = 10_000 * 366 * 1_440
_EXACT_FLOAT = 2.0**53
"""Up to here every integer is a float64, so that a float column of ids has lost nothing."""
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


@dataclass(frozen=True, slots=True)
class _Table:
    """What the formats have in common: names, and values on demand."""

    names: Sequence[str]
    column: Callable[[str], NDArray[Any]]


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
        table = _DECODERS[file.suffix](file.content)
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
    """The same checks for rows that are already in memory; `frame` is left as it is.

    Raises:
        DatasetRefused: as `read_day`.
    """

    def column(name: str) -> NDArray[Any]:
        series = frame[name]
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        values: NDArray[Any] = series.to_numpy()
        return values

    labels: list[object] = list(frame.columns)
    names = [name if isinstance(name, str) else "" for name in labels]
    return _day(_Table(names, column), label if labelled else None, date, sha256)


def _line(error: Exception) -> str:
    """An exception as part of a line: its first line, or its type when it has no words."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return text if len(text) <= 160 else f"{text[:160]} ..."  # noqa: PLR2004 - two lines of 80


# Formats ------------------------------------------------------------------------------------------


def _from_pickle(content: bytes) -> _Table:
    from pickle import UnpicklingError  # noqa: PLC0415 - only this format needs it

    from workload.readers.pickled_frame import load_frame  # noqa: PLC0415

    try:
        frame = load_frame(content)
    except UnpicklingError as error:
        raise DatasetRefused(str(error)) from error

    def column(name: str) -> NDArray[Any]:
        try:
            return frame.column(name)
        except UnpicklingError as error:
            raise DatasetRefused(f"column {name} {error}") from error

    return _Table(frame.names, column)


def _from_parquet(content: bytes) -> _Table:
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    _check_rows(file.metadata.num_rows)
    needed = file.schema_arrow
    return _Table(
        needed.names,
        lambda name: _from_arrow(name, file.read([name], use_threads=False).column(name)),
    )


def _from_csv(content: bytes) -> _Table:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    # One block, so that the whole column decides its type and not its first lines.
    options = csv.ReadOptions(use_threads=False, block_size=len(content) + 1)
    table = csv.read_csv(pa.BufferReader(content), read_options=options)
    _check_rows(table.num_rows)
    return _Table(table.column_names, lambda name: _from_arrow(name, table.column(name)))


def _from_csv_gz(content: bytes) -> _Table:
    limit = min(MAX_BYTES, MAX_EXPANSION * len(content) + 4096)
    parts: list[bytes] = []
    size = 0
    while content:  # a gzip file may have several members
        member = zlib.decompressobj(wbits=31)
        part = member.decompress(content, limit - size + 1)
        size += len(part)
        if size > limit:
            raise DatasetRefused(
                f"expands to more than {limit} bytes; allowed are {MAX_EXPANSION} times its size "
                f"and {MAX_BYTES} bytes"
            )
        if not member.eof:
            raise DatasetRefused("ends in the middle of the compressed data")
        parts.append(part)
        content = member.unused_data.lstrip(b"\0")  # padding, as gzip itself allows
    return _from_csv(b"".join(parts))


_DECODERS: dict[str, Callable[[bytes], _Table]] = {
    ".pkl": _from_pickle,
    ".parquet": _from_parquet,
    ".csv": _from_csv,
    ".csv.gz": _from_csv_gz,
}


def _from_arrow(name: str, values: pa.ChunkedArray) -> NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415

    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (is_number or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        if pa.types.is_null(kind):
            raise DatasetRefused(f"column {name} has no values")
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if is_text and (row := _first_text(name, values.to_pylist())) is not None:
            raise DatasetRefused(
                f"column {name}, row {row}: {_shown(values[row].as_py())} is not allowed; "
                f"allowed are {_allowed(name)}"
            )
        raise _wrong_type(name, str(kind))
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy())[0])
        raise DatasetRefused(f"column {name}, row {row}: the value is missing")
    array: NDArray[Any] = values.to_numpy()
    return array


def _first_text(name: str, values: list[str | None]) -> int | None:
    """The row that made a column of a csv file one of strings."""
    for row, value in enumerate(values):
        try:
            if value is not None:
                dt.datetime.fromisoformat(value) if name == "TX_DATETIME" else float(value)
        except ValueError:
            return row
    return None


def _check_rows(rows: int) -> None:
    if rows == 0:
        raise DatasetRefused("has no rows; at least one is needed")
    if rows > MAX_ROWS:
        raise DatasetRefused(f"has {rows} rows; at most {MAX_ROWS} are read")


# Checks -------------------------------------------------------------------------------------------


def _day(table: _Table, label: str | None, date: dt.date | None, sha256: str) -> Day:
    needed = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT"]
    needed += [label] if label is not None else []
    names = list(table.names)
    if missing := [name for name in needed if name not in names]:
        plural = "s" if len(missing) > 1 else ""
        raise DatasetRefused(f"lacks the column{plural} {', '.join(missing)}")
    if twice := [name for name in needed if names.count(name) > 1]:
        raise DatasetRefused(f"has the column {twice[0]} more than once")

    moments = table.column("TX_DATETIME")
    _check_rows(moments.size)
    day, second = _seconds(moments, date)
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


def _settled(array: NDArray[_T], order: NDArray[np.intp] | slice) -> NDArray[_T]:
    ordered = np.ascontiguousarray(array[order])
    ordered.flags.writeable = False
    return ordered


def _order(second: NDArray[np.int32], transaction: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """Row numbers by (second, transaction), or everything when the rows are in order."""
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


def _first(wrong: NDArray[np.bool_]) -> int | None:
    """The first row where something is wrong."""
    row = int(wrong.argmax())
    return row if wrong[row] else None


def _allowed(name: str) -> str:
    return {
        "TX_DATETIME": "dates with time such as 2018-04-01 09:30:00, or nanoseconds since 1970",
        "TX_AMOUNT": "numbers",
    }.get(name, "integers")


def _wrong_type(name: str, kind: str) -> DatasetRefused:
    return DatasetRefused(f"column {name} is of type {kind}; allowed are {_allowed(name)}")


def _shown(value: object) -> str:
    """A value as part of a line, whatever it is and however long."""
    if isinstance(value, (list, tuple, dict)):
        return "(...)"
    if isinstance(value, (str, bytes)):
        return repr(value[:40])
    if isinstance(value, int) and value.bit_length() > 128:  # noqa: PLR2004 - 39 digits
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, np.datetime64):
        return str(value)
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]


def _numbers(table: _Table, name: str, rows: int, *, fractions: bool) -> NDArray[Any]:
    """A column of integers or floats; objects only when all of them are numbers."""
    values = table.column(name)
    if values.size != rows:
        raise DatasetRefused(f"column {name} has {values.size} rows and TX_DATETIME has {rows}")
    if values.dtype.kind == "O":
        return _objects(values, name, fractions=fractions)
    if values.dtype.kind not in "iuf":
        raise _wrong_type(name, str(values.dtype))
    return values


def _objects(values: NDArray[Any], name: str, *, fractions: bool) -> NDArray[Any]:
    kinds = set(map(type, values.tolist()))
    floats = {kind for kind in kinds if issubclass(kind, (float, np.floating))}
    for kind in kinds:
        integer = issubclass(kind, (int, np.integer)) and kind not in (bool, np.timedelta64)
        if not (integer or (fractions and kind in floats)):
            row = next(row for row, value in enumerate(values) if type(value) is kind)
            raise DatasetRefused(
                f"column {name}, row {row}: {_shown(values[row])} is not "
                f"{'a number' if fractions else 'an integer'}"
            )
    try:
        return values.astype(np.float64 if floats else np.int64)
    except OverflowError:
        low, high = (-(2**1023), 2**1023) if floats else (-(2**63), 2**63 - 1)
        row = next(row for row, value in enumerate(values) if not low <= value <= high)
        raise DatasetRefused(
            f"column {name}, row {row}: {_shown(values[row])} does not fit 64 bits"
        ) from None


def _integers(table: _Table, name: str, rows: int) -> NDArray[np.int64]:
    values = _numbers(table, name, rows, fractions=False)
    if values.dtype.kind == "f":
        # Written so that NaN, which compares false, is wrong too.
        wrong = ~((np.abs(values) <= _EXACT_FLOAT) & (np.floor(values) == values))
        if (row := _first(wrong)) is not None:
            raise DatasetRefused(
                f"column {name}, row {row}: {_shown(values[row])} is not an exact integer"
            )
    elif values.dtype == np.uint64 and (row := _first(values > 2**63 - 1)) is not None:
        raise DatasetRefused(f"column {name}, row {row}: {values[row]} does not fit 64 bits")
    return values.astype(np.int64, copy=False)


def _identifiers(table: _Table, name: str, rows: int) -> NDArray[np.int64]:
    values = _integers(table, name, rows)
    if (row := _first(values < 0)) is not None:
        raise DatasetRefused(f"column {name}, row {row}: {values[row]} is negative")
    return values


def _labels(table: _Table, name: str, rows: int) -> NDArray[np.int8]:
    values = _integers(table, name, rows)
    if (row := _first((values < 0) | (values > _MAX_LABEL))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {values[row]} is no label; allowed are 0 to {_MAX_LABEL}"
        )
    return values.astype(np.int8)


def _amounts(table: _Table, rows: int) -> NDArray[np.float64]:
    name = "TX_AMOUNT"
    values = _numbers(table, name, rows, fractions=True).astype(np.float64, copy=False)
    if (row := _first(~((values >= 0.0) & (values < np.inf)))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {_shown(values[row])} is no amount; allowed are finite "
            "numbers from 0"
        )
    return values


def _seconds(values: NDArray[Any], promised: dt.date | None) -> tuple[dt.date, NDArray[np.int32]]:
    """The day all rows lie on, and their seconds after its midnight (fractions cut off)."""
    name = "TX_DATETIME"
    ticks, per_second = _ticks(values, name)
    per_day = per_second * _SECONDS_PER_DAY
    number = int(ticks[0]) // per_day
    try:
        day = dt.date(1970, 1, 1) + dt.timedelta(days=number)
    except OverflowError:
        raise _outside(name, 0, values[0]) from None
    midnight = number * per_day
    if (row := _first((ticks < midnight) | (ticks >= midnight + per_day))) is not None:
        raise DatasetRefused(
            f"column {name}, row {row}: {_shown(values[row])} is not on {day}, the day of row 0; "
            "a file holds one day (UTC)"
        )
    if promised is not None and day != promised:
        raise DatasetRefused(f"column {name}: the rows are of {day}, the name promises {promised}")
    return day, ((ticks - midnight) // per_second).astype(np.int32)


def _outside(name: str, row: int, value: object) -> DatasetRefused:
    return DatasetRefused(
        f"column {name}, row {row}: {_shown(value)} is outside the years 1 to 9999"
    )


def _ticks(values: NDArray[Any], name: str) -> tuple[NDArray[np.int64], int]:
    """Moments as integers since 1970, and how many of them make a second."""
    if values.dtype.kind == "O":
        return _objects(values, name, fractions=False), _UNITS["ns"]
    if values.dtype in (np.int64, np.uint64):
        table = _Table([name], lambda _: values)
        return _integers(table, name, values.size), _UNITS["ns"]
    if values.dtype.kind != "M":
        raise _wrong_type(name, str(values.dtype))
    if (row := _first(np.isnat(values))) is not None:
        raise DatasetRefused(f"column {name}, row {row}: the value is missing")
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or unit not in (*_UNITS, *_SECONDS_IN):
        raise _wrong_type(name, str(values.dtype))
    ticks = values.astype(values.dtype.newbyteorder("=")).view(np.int64)
    if unit in _UNITS:
        return ticks, _UNITS[unit]
    if (row := _first(abs(ticks) > _MAX_MINUTES)) is not None:
        raise _outside(name, row, values[row])
    return ticks * _SECONDS_IN[unit], 1

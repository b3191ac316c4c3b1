"""Columns of integers, numbers and moments, from whatever types a file has them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workload.errors import DatasetRefused
from workload.readers.table import Kind, Table, wrong_type
from workload.readers.values import first_wrong, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SECONDS_IN = {"m": 60, "h": 3_600, "D": 86_400}
_MAX_MINUTES = 10_000 * 366 * 1_440
_EXACT_FLOAT = 2.0**53
"""Up to here every integer is a float64, so that a float column of ids has lost nothing."""


def numbers(table: Table, name: str, rows: int, kind: Kind = Kind.NUMBERS) -> NDArray[Any]:
    """Return a column of integers or floats, shape (rows,); objects when all of them are numbers.

    Args:
        table: has the column.
        name: of the column.
        rows: how many rows the table has.
        kind: `Kind.INTEGERS` to refuse objects that have fractions.

    Raises:
        DatasetRefused: it holds something else, or has another number of rows.
    """
    values = table.column(name, kind)
    if values.size != rows:
        raise DatasetRefused(f"column {name} has {values.size} rows, others have {rows}")
    if values.dtype.kind == "O":
        return _objects(values, name, fractions=kind is Kind.NUMBERS)
    if values.dtype.kind not in "iuf":
        raise wrong_type(name, kind, str(values.dtype))
    return values


def _objects(values: NDArray[Any], name: str, *, fractions: bool) -> NDArray[Any]:
    kinds = set(map(type, values.tolist()))
    floats = {kind for kind in kinds if issubclass(kind, (float, np.floating))}
    for kind in kinds:
        integer = issubclass(kind, (int, np.integer)) and kind not in (bool, np.timedelta64)
        if not (integer or (fractions and kind in floats)):
            row = next(row for row, value in enumerate(values) if type(value) is kind)
            raise DatasetRefused(
                f"column {name}, row {row}: {shown(values[row])} is not "
                f"{'a number' if fractions else 'an integer'}"
            )
    try:
        return values.astype(np.float64 if floats else np.int64)
    except OverflowError:
        low, high = (-(2**1023), 2**1023) if floats else (-(2**63), 2**63 - 1)
        row = next(row for row, value in enumerate(values) if not low <= value <= high)
        raise DatasetRefused(
            f"column {name}, row {row}: {shown(values[row])} does not fit 64 bits"
        ) from None


def integers(table: Table, name: str, rows: int) -> NDArray[np.int64]:
    """Return a column of integers, shape (rows,); floats when none of them has a fraction.

    Raises:
        DatasetRefused: as `numbers`, or a value does not fit 64 bits.
    """
    return _whole(numbers(table, name, rows, Kind.INTEGERS), name)


def _whole(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        # Written so that NaN, which compares false, is wrong too.
        wrong = ~((np.abs(values) <= _EXACT_FLOAT) & (np.floor(values) == values))
        if (row := first_wrong(wrong)) is not None:
            raise DatasetRefused(
                f"column {name}, row {row}: {shown(values[row])} is not an exact integer"
            )
    elif values.dtype == np.uint64 and (row := first_wrong(values > 2**63 - 1)) is not None:
        raise DatasetRefused(f"column {name}, row {row}: {values[row]} does not fit 64 bits")
    return values.astype(np.int64, copy=False)


def moments(values: NDArray[Any], name: str) -> tuple[NDArray[np.int64], int]:
    """Return moments as integers since 1970, shape (rows,), and how many of them make a second.

    Args:
        values: a column of moments, or of nanoseconds since 1970, shape (rows,).
        name: of the column.

    Raises:
        DatasetRefused: it holds something else.
    """
    if values.dtype.kind == "O":
        return _objects(values, name, fractions=False), _UNITS["ns"]
    if values.dtype in (np.int64, np.uint64):
        return _whole(values, name), _UNITS["ns"]
    if values.dtype.kind != "M":
        raise wrong_type(name, Kind.MOMENTS, str(values.dtype))
    if (row := first_wrong(np.isnat(values))) is not None:
        raise DatasetRefused(f"column {name}, row {row}: the value is missing")
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or unit not in (*_UNITS, *_SECONDS_IN):
        raise wrong_type(name, Kind.MOMENTS, str(values.dtype))
    counted = values.astype(values.dtype.newbyteorder("=")).view(np.int64)
    if unit in _UNITS:
        return counted, _UNITS[unit]
    if (row := first_wrong(abs(counted) > _MAX_MINUTES)) is not None:
        raise outside(name, row, values[row])
    return counted * _SECONDS_IN[unit], 1


def outside(name: str, row: int, value: object) -> DatasetRefused:
    """Return the refusal of a moment that no calendar has."""
    return DatasetRefused(
        f"column {name}, row {row}: {shown(value)} is outside the years 1 to 9999"
    )

"""Columns of integers, numbers and moments, from whatever types a file has them in."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.errors import DatasetRefused
from workload.readers.table import (
    MAX_TEXT,
    Kind,
    Table,
    missing,
    not_allowed,
    other_zone,
    wrong_type,
)
from workload.readers.values import first_wrong, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SECONDS_IN = {"m": 60, "h": 3_600, "D": 86_400}
_MAX_MINUTES = 10_000 * 366 * 1_440
_NANOSECONDS = 10**17
_LOOKS = (
    (10**11, "seconds since 1970"),
    (10**14, "milliseconds since 1970"),
    (_NANOSECONDS, "microseconds since 1970"),
)
"""Below these an integer of our time is of the unit."""
_NUMBERS = (int, float, Decimal, np.integer, np.floating)
_NO_NUMBERS = (bool, np.timedelta64)
_OVER = 2**63
_EXACT_FLOAT = 2.0**53
"""Below, every integer is a float64, so that a float column of ids has lost nothing."""


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
    """Return objects as integers, or as floats when one has a decimal point and may have one."""
    kinds = set(map(type, values.tolist()))
    if wrong := {kind for kind in kinds if not issubclass(kind, _NUMBERS) or kind in _NO_NUMBERS}:
        row = next(row for row, value in enumerate(values) if type(value) in wrong)
        if _is_missing(values[row]):
            raise missing(name, row)
        raise DatasetRefused(
            f"column {name}, row {row}: {shown(values[row])} is not "
            f"{'a number' if fractions else 'an integer'}"
        )
    points = any(issubclass(kind, (float, np.floating, Decimal)) for kind in kinds)
    if points and not fractions:
        for row, value in enumerate(values):
            if not _is_exact(value):
                raise DatasetRefused(
                    f"column {name}, row {row}: {shown(value)} is not an exact integer"
                )
    try:
        return values.astype(np.float64 if points and fractions else np.int64)
    except (OverflowError, ValueError):  # ValueError: a signalling NaN
        low, high = (-(2**1023), 2**1023) if points else (-(2**63), 2**63 - 1)
        row = next(row for row, value in enumerate(values) if not _is_within(value, low, high))
        raise DatasetRefused(
            f"column {name}, row {row}: {shown(values[row])} does not fit 64 bits"
        ) from None


def _is_exact(value: float | Decimal | np.number[Any]) -> bool:
    """Return whether a number is an integer of 64 bits, and a float one that has lost nothing."""
    if isinstance(value, Decimal):
        # Compared before it is converted: 1E+999999999 is short, its integer is not.
        return value.is_finite() and value.copy_abs() < _OVER and value == value.to_integral_value()
    if isinstance(value, (float, np.floating)):
        return abs(float(value)) < _EXACT_FLOAT and float(value).is_integer()
    return True


def _is_within(value: float | Decimal, low: int, high: int) -> bool:
    if isinstance(value, Decimal) and value.is_nan():
        return not value.is_snan()
    return bool(low <= value <= high) or value != value  # noqa: PLR0124 - NaN


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def integers(table: Table, name: str, rows: int) -> NDArray[np.int64]:
    """Return a column of integers, shape (rows,); floats when none of them has a fraction.

    Raises:
        DatasetRefused: as `numbers`, or a value does not fit 64 bits.
    """
    return _whole(numbers(table, name, rows, Kind.INTEGERS), name)


def _whole(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        # Written so that NaN, which compares false, is wrong too.
        wrong = ~((np.abs(values) < _EXACT_FLOAT) & (np.floor(values) == values))
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
        values: a column of moments, as datetime64, as objects of `datetime`, as ISO 8601 text, or
            as nanoseconds since 1970; shape (rows,). UTC unless they have a zone.
        name: of the column.

    Raises:
        DatasetRefused: it holds something else.
    """
    if values.dtype.kind == "O":
        values = _object_moments(values, name)
    if values.dtype.kind in "iu":
        counted = _whole(values, name)
        _check_unit(int(counted[0]), name)
        return counted, _UNITS["ns"]
    if values.dtype.kind != "M":
        raise wrong_type(name, Kind.MOMENTS, str(values.dtype))
    if (row := first_wrong(np.isnat(values))) is not None:
        raise missing(name, row)
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or unit not in (*_UNITS, *_SECONDS_IN):
        raise wrong_type(name, Kind.MOMENTS, str(values.dtype))
    counted = values.astype(values.dtype.newbyteorder("=")).view(np.int64)
    if unit in _UNITS:
        return counted, _UNITS[unit]
    if (row := first_wrong(abs(counted) > _MAX_MINUTES)) is not None:
        raise outside(name, row, values[row])
    return counted * _SECONDS_IN[unit], 1


def _object_moments(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return objects that are all text, all integers or all dates as an array of their own type."""
    kinds = {kind: _group(kind) for kind in set(map(type, values.tolist()))}
    first = kinds[type(values[0])]
    for row, value in enumerate(values if set(kinds.values()) != {first} or not first else ()):
        if _is_missing(value):
            raise missing(name, row)
        if not (group := kinds[type(value)]):
            raise not_allowed(name, row, value, Kind.MOMENTS)
        if group != first:
            raise DatasetRefused(
                f"column {name}, row {row}: {shown(value)} is {group}, row 0 is {first}"
            )
    if first == "an integer":
        return _objects(values, name, fractions=False)
    return _text(values, name) if first == "text" else _dates(values, name)


def _group(kind: type) -> str:
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, (int, np.integer)) and kind not in _NO_NUMBERS:
        return "an integer"
    is_moment = issubclass(kind, (dt.date, np.datetime64)) and kind.__name__ != "NaTType"
    return "a date" if is_moment else ""


def _text(values: NDArray[Any], name: str) -> NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s to import, for few files

    from workload.readers.arrow import text_moments  # noqa: PLC0415

    for row, value in enumerate(values):
        if len(value) > MAX_TEXT:  # one string may be there a million times
            raise not_allowed(name, row, value, Kind.MOMENTS)
    return text_moments(name, pa.chunked_array([pa.array(values, pa.string())]))


def _dates(values: NDArray[Any], name: str) -> NDArray[Any]:
    zoned = getattr(values[0], "tzinfo", None) is not None
    moved: list[object] = []
    for row, value in enumerate(values):
        zone = getattr(value, "tzinfo", None)
        if (zone is not None) != zoned:
            raise other_zone(name, row, str(value), zoned=zoned)
        try:
            moved.append(value.astimezone(dt.UTC).replace(tzinfo=None) if zoned else value)
        except OverflowError:
            raise outside(name, row, str(value)) from None
    return np.array(moved, dtype="M8[us]")


def _check_unit(value: int, name: str) -> None:
    """Refuse an integer that is hardly nanoseconds: as such it would be before March 1973."""
    if abs(value) >= _NANOSECONDS:
        return
    looks = next(unit for limit, unit in _LOOKS if abs(value) < limit)
    for form, digits in (("%Y%m%d", 8), ("%Y%m%d%H%M%S", 14)):
        with suppress(ValueError):
            if len(str(value)) == digits and dt.datetime.strptime(str(value), form).year > 1900:  # noqa: DTZ007, PLR2004
                looks = "a date written in digits"
    raise DatasetRefused(
        f"column {name}, row 0: {value} looks like {looks}; allowed are {Kind.MOMENTS}"
    )


def outside(name: str, row: int, value: object) -> DatasetRefused:
    """Return the refusal of a moment that no calendar has."""
    return DatasetRefused(
        f"column {name}, row {row}: {shown(value)} is outside the years 1 to 9999"
    )

"""Arrow's columns as NumPy's, whichever file they come from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workload.errors import DatasetRefused
from workload.readers.table import MAX_TEXT, Kind, missing, not_allowed, other_zone, wrong_type
from workload.readers.values import first_wrong, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ZONES = (None, "UTC")


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is text, also as a dictionary (pandas' category)."""
    kind = _stored(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def check_type(name: str, allowed: Kind, kind: pa.DataType) -> None:
    """Refuse a column by its type alone.

    Raises:
        DatasetRefused: values of the type can't be of the allowed kind.
    """
    stored = _stored(kind)
    if pa.types.is_null(stored):
        raise DatasetRefused(f"column {name} has no values")
    if allowed is Kind.MOMENTS:
        right = pa.types.is_timestamp(stored) or pa.types.is_date(stored) or is_text(stored)
    else:
        right = pa.types.is_floating(stored) or pa.types.is_decimal(stored)
    if not (right or pa.types.is_integer(stored)):
        raise wrong_type(name, allowed, str(stored))


def check_values(name: str, allowed: Kind, values: pa.ChunkedArray) -> None:
    """Refuse a column of a csv file, which has the type that all of its values allow.

    Raises:
        DatasetRefused: with the row that made it a column of text.
    """
    if pa.types.is_binary(values.type):
        row = _first_failing(values, lambda part: part.cast(pa.string()))
        raise DatasetRefused(f"column {name}, row {row}: {shown(values[row].as_py())} is not UTF-8")
    if is_text(values.type):
        try:
            row = _first_failing(values, lambda part: part.cast(pa.float64()))
        except ValueError:
            raise wrong_type(name, allowed, str(values.type)) from None
        raise not_allowed(name, row, values[row].as_py(), allowed)
    check_type(name, allowed, values.type)


def decoded(name: str, allowed: Kind, values: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column whose type has been checked, shape (rows,).

    Raises:
        DatasetRefused: a value is missing, or not what its kind allows.
    """
    if values.null_count:
        raise missing(name, int(np.flatnonzero(values.is_null().to_numpy())[0]))
    if is_text(values.type):
        return text_moments(name, values)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    array: NDArray[Any]
    if not pa.types.is_decimal(values.type):
        array = values.to_numpy()
    elif allowed is Kind.INTEGERS:
        if values.type.bit_width < 128:  # noqa: PLR2004 - whose casts to integers fail
            values = values.cast(pa.decimal128(38, values.type.scale))
        array = _integers(name, values)
    else:
        # Through text: Arrow's own conversion is not to the nearest float.
        array = values.cast(pa.string()).cast(pa.float64()).to_numpy()
    return array


def _integers(name: str, values: pa.ChunkedArray) -> NDArray[Any]:
    def cast(part: pa.ChunkedArray) -> pa.ChunkedArray:
        return part.cast(pa.int64())

    try:
        array: NDArray[Any] = cast(values).to_numpy()
    except pa.ArrowInvalid:
        row = _first_failing(values, cast)
        raise DatasetRefused(
            f"column {name}, row {row}: {values[row].as_py()} is not an exact integer"
        ) from None
    return array


def text_moments(name: str, values: pa.ChunkedArray) -> NDArray[Any]:
    """Return ISO 8601 moments as datetime64 in UTC, shape (rows,).

    Raises:
        DatasetRefused: one is something else, or has a zone where the first has none.
    """
    row = 0
    for chunk in values.chunks:
        if (wrong := first_wrong(_lengths(chunk) > MAX_TEXT)) is not None:
            raise not_allowed(name, row + wrong, values[row + wrong].as_py(), Kind.MOMENTS)
        row += len(chunk)
    values = values.cast(pa.string())
    for unit in ("s", "ns"):
        for zone in _ZONES:
            try:
                array: NDArray[Any] = values.cast(pa.timestamp(unit, zone)).to_numpy()
            except pa.ArrowInvalid:
                continue
            return array
    raise _wrong_text(name, values)


def _wrong_text(name: str, values: pa.ChunkedArray) -> DatasetRefused:
    """Return the refusal of moments as text that are not all of one form."""
    zone, other = _ZONES if _parses(values.slice(0, 1), None) else reversed(_ZONES)
    row = _first_failing(values, functools.partial(_moments, zone=zone))
    if not _parses(values.slice(row, 1), other):
        return not_allowed(name, row, values[row].as_py(), Kind.MOMENTS)
    return other_zone(name, row, values[row].as_py(), zoned=zone is not None)


def _moments(values: pa.ChunkedArray, zone: str | None) -> pa.ChunkedArray:
    return values.cast(pa.timestamp("ns", zone))


def _parses(values: pa.ChunkedArray, zone: str | None) -> bool:
    return _converts(values, functools.partial(_moments, zone=zone))


def _first_failing(values: pa.ChunkedArray, convert: Callable[[Any], object]) -> int:
    """Return the first row that makes `convert` fail.

    Raises:
        ValueError: none does.
    """
    low, high = 0, len(values)
    if _converts(values, convert):
        raise ValueError("nothing is wrong")
    while high - low > 1:
        middle = (low + high) // 2
        if _converts(values.slice(low, middle - low), convert):
            low = middle
        else:
            high = middle
    return low


def _converts(values: pa.ChunkedArray, convert: Callable[[Any], object]) -> bool:
    try:
        convert(values)
    except pa.ArrowInvalid:
        return False
    return True


def _lengths(chunk: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_dictionary(chunk.type):
        lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
    else:
        lengths = pc.binary_length(chunk)
    array: NDArray[np.int64] = lengths.to_numpy(zero_copy_only=False)
    return array


def _stored(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind

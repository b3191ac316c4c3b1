"""pyarrow's arrays in pickles, from the buffers that they are pickled as."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.readers.pickle_program import Call, Name, kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARROW_TYPES = {
    **{f"int{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    "float": "<f4",
    "double": "<f8",
    "date64[ms]": "<M8[ms]",
}
"""Arrow's names of the number types, as NumPy's."""
_MAX_SCALE = 100


def arrow_values(kind: Call, length: int, offset: int, buffers: list[Any]) -> NDArray[Any]:
    """Return a pyarrow array from its buffers (Arrow columnar format, "Physical Memory Layout").

    Args:
        kind: the type.
        length: number of values.
        offset: number of values to skip in each buffer.
        buffers: a bit per value, or None when none is missing; then the values, or for strings
            their bounds and the text.

    Raises:
        UnpicklingError: the type is not read, or the buffers are damaged.
    """
    window = slice(offset, offset + length)
    valid, content = buffers[0], raw_bytes(buffers[1])
    absent = np.zeros(length, dtype=bool)
    if valid is not None:
        bits = np.unpackbits(np.frombuffer(raw_bytes(valid), np.uint8), bitorder="little")[window]
        absent = bits == 0
    match kind:
        case Call(function=Name(role="alias"), arguments=("string" | "large_string" as name,)):
            bounds = np.frombuffer(content, "<i4" if name == "string" else "<i8")
            return without(
                _strings(bounds[offset : offset + length + 1], raw_bytes(buffers[2]), length),
                absent,
            )
        case Call(function=Name(role="alias"), arguments=("date32[day]",)):
            # NumPy has no date of 4 bytes.
            values = np.frombuffer(content, "<i4")[window].astype("M8[D]")
        case Call(function=Name(role="alias"), arguments=(name,)) if name in _ARROW_TYPES:
            values = np.frombuffer(content, _ARROW_TYPES[name])[window]
        case Call(
            function=Name(role="timestamp"), arguments=("s" | "ms" | "us" | "ns" as unit, *_)
        ):
            values = np.frombuffer(content, f"<M8[{unit}]")[window]
        case Call(function=Name(role="decimal128"), arguments=(_, int() as scale)):
            return without(_decimals(content, offset, length, scale), absent)
        case _:
            raise UnpicklingError("is of a pyarrow type that is not read")
    if values.size != length:
        raise UnpicklingError("is damaged (array size)")
    return without(values, absent)


def _strings(bounds: NDArray[Any], text: bytes, length: int) -> NDArray[Any]:
    # Overlapping strings would be a way to ask for more memory than the file has bytes.
    if bounds.size != length + 1 or bounds[0] < 0 or (np.diff(bounds) < 0).any():
        raise UnpicklingError("is damaged (string bounds)")
    strings = np.empty(length, dtype=object)
    for row, (first, last) in enumerate(pairwise(bounds.tolist())):
        strings[row] = text[first:last].decode()
    return strings


def _decimals(content: bytes, offset: int, length: int, scale: int) -> NDArray[Any]:
    """Return decimals from pyarrow's 16 bytes each, least first; objects of shape (length,).

    Raises:
        UnpicklingError: there are fewer.
    """
    if len(content) < 16 * (offset + length) or abs(scale) > _MAX_SCALE:
        raise UnpicklingError("is damaged (decimals)")
    values = np.empty(length, dtype=object)
    for row in range(length):
        raw = content[16 * (offset + row) : 16 * (offset + row + 1)]
        values[row] = Decimal(f"{int.from_bytes(raw, 'little', signed=True)}E{-scale}")
    return values


def raw_bytes(node: object) -> bytes:
    """Return bytes, or those in a bytearray or pyarrow buffer made of them."""
    while isinstance(node, Call) and node.role == "bytes":
        (node,) = node.arguments
    if not isinstance(node, bytes):
        raise UnpicklingError(f"is damaged ({kind_of(node)} instead of bytes)")
    return node


def without(values: NDArray[Any], absent: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values, as objects if some of them are absent."""
    if not absent.any():
        return values
    objects = values.astype(object)
    objects[absent] = None
    return objects

"""Canonical bytes: equal values always pickle to the same bytes, and load without running code.

A plain pickle depends on which equal objects happen to be the same object, on the order keys were
inserted, and on array layout. Here keys are sorted, arrays are C-contiguous, little-endian and of
a fixed set of dtypes, and nothing is shared.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

_SCALARS = frozenset((bool, int, float, str, bytes, type(None)))

_DTYPES = frozenset("bBhHiIlLqQefd?")


def encode(value: dict[str, Any]) -> bytes:
    """Pickle a tree of dicts, lists, builtins and NumPy arrays canonically (protocol 5).

    Raises:
        TypeError: something else is in the tree.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=5)
    pickler.fast = True  # no memo: whether equal objects are one object leaves no trace
    pickler.dump(_normal(value))
    return stream.getvalue()


def decode(content: bytes) -> dict[str, Any]:
    """Load what `encode` wrote, without running anything.

    Raises:
        ValueError: it is anything else.
    """
    stream = io.BytesIO(content)
    try:
        value = _Unpickler(stream).load()
        if stream.read(1):
            raise ValueError("bytes follow its end")  # noqa: TRY301
        if not isinstance(value, dict):
            raise ValueError("no dict inside")  # noqa: TRY004, TRY301 - bad content
        return {key: _normal(value[key]) for key in sorted(value)}
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"not a checkpoint ({error})") from error


class _Dtype:
    """What a pickled dtype may be: the name of a plain number, and nothing its state can change."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or np.dtype(name).char not in _DTYPES:
            raise pickle.UnpicklingError("an array is not of plain numbers")
        self.name = name

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] not in ("<", "|"):
            raise pickle.UnpicklingError("an array is not little-endian")


def _array(buffer: object, dtype: object, shape: object, order: object, *_: object) -> object:
    if not isinstance(buffer, bytes | bytearray) or not isinstance(dtype, _Dtype) or order != "C":
        raise pickle.UnpicklingError("an array is not as this program writes it")
    return np.frombuffer(bytearray(buffer), dtype.name).reshape(shape)  # type: ignore[call-overload]


class _Unpickler(pickle.Unpickler):
    """Stands in for NumPy's own constructors, which would believe whatever they are given."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in the base class
        if (module, name) == ("numpy", "dtype"):
            return _Dtype
        if module in {"numpy._core.numeric", "numpy.core.numeric"} and name == "_frombuffer":
            return _array
        raise pickle.UnpicklingError(f"it needs {module}.{name}")


def _normal(value: object) -> object:
    match value:
        case np.ndarray():
            if value.dtype.char not in _DTYPES:
                raise TypeError(f"arrays of {value.dtype} have no canonical form")
            array = np.array(value, dtype=value.dtype.newbyteorder("<"), order="C")
            array.flags.writeable = True
            return array
        case dict():
            if not all(type(key) is str for key in value):
                raise TypeError("keys must be strings")
            return {key: _normal(value[key]) for key in sorted(value)}
        case list() if _SCALARS.issuperset(map(type, value)):
            return value.copy()
        case list():
            return [_normal(item) for item in value]
        case _ if type(value) in _SCALARS:
            return value
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")

"""Canonical bytes: equal values always pickle to the same bytes, and load without running code.

A plain pickle depends on which equal objects happen to be the same object, on the order keys were
inserted, and on array layout. Here keys are sorted, arrays are C-contiguous, little-endian and of
a fixed set of dtypes, and nothing is shared.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, Final

import numpy as np

_SCALARS = (bool, int, float, str, bytes, type(None))

_DTYPES = frozenset("bBhHiIlLqQefd?")

_GLOBALS: Final = {
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def encode(value: dict[str, Any]) -> bytes:
    """Pickles a tree of dicts, lists, builtins and NumPy arrays canonically (protocol 5).

    Raises:
        TypeError: something else is in the tree.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=5)
    pickler.fast = True  # no memo: whether equal objects are one object leaves no trace
    pickler.dump(_normal(value))
    return stream.getvalue()


def decode(content: bytes) -> dict[str, Any]:
    """Loads what ``encode`` wrote; anything else raises ValueError and runs nothing."""
    try:
        value = _Unpickler(io.BytesIO(content)).load()
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"not a checkpoint ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("not a checkpoint (no dict inside)")  # noqa: TRY004 - bad content
    return value


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in the base class
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"it needs {module}.{name}")
        return super().find_class(module, name)


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
        case list():
            return [_normal(item) for item in value]
        case _ if type(value) in _SCALARS:
            return value
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")

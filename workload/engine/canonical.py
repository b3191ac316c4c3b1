"""Canonical bytes: equal values always pickle to the same bytes, and load without running code.

A plain pickle depends on which equal objects happen to be the same object, on the order keys were
inserted, and on array layout. Here keys are sorted, arrays are C-contiguous, little-endian and of
a fixed set of dtypes, and nothing is shared.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.readers.pickle_numbers import NUMBERS, read_numbers
from workload.text import excerpt, printable

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 100
"""Deepest nesting of lists and dicts."""

MAX_NODES = 1 << 22
"""Most lists, dicts and arrays: each takes up to 130 bytes of memory for one byte of a file."""

MAX_EMPTY = 1 << 20
"""Largest product of the other sides of an array that has a side of 0."""

_SCALARS = frozenset((bool, int, float, str, bytes, type(None)))

_DTYPES = frozenset("bBhHiIlLqQefd?")


def encode(value: dict[str, Any]) -> bytes:
    """Pickle a tree of dicts, lists, builtins and NumPy arrays canonically (protocol 5).

    A NumPy number gives the bytes of the equal Python number.

    Raises:
        TypeError: something else is in the tree, which the message names, with where it is; or it
            is too deep or has too many nodes.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=5)
    pickler.fast = True  # no memo: whether equal objects are one object leaves no trace
    pickler.dump(_Canonical().form(value))
    return stream.getvalue()


def decode(content: bytes) -> dict[str, Any]:
    """Load what `encode` wrote, without running anything.

    Takes memory in proportion to `content`, whatever lengths and shapes are written in it.

    Raises:
        ValueError: it is anything else.
    """
    try:
        value = _Parser(content).parse()
        if not isinstance(value, dict):
            raise UnpicklingError("no dict inside")  # noqa: TRY301 - bad content
        tree: dict[str, Any] = _Canonical().form(value)
    except MemoryError:
        raise
    except EOFError:
        raise ValueError("not a checkpoint (it ends in the middle)") from None
    except Exception as error:
        raise ValueError(f"not a checkpoint ({excerpt(error)})") from error
    return tree


class _Dtype(str):
    """The name of a dtype of plain numbers."""

    __slots__ = ()


_CONSTANTS = {pickle.NONE: None, pickle.NEWTRUE: True, pickle.NEWFALSE: False}
_TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}
_SIZED: dict[bytes, tuple[int, Callable[[memoryview], object]]] = {
    pickle.LONG1: (1, lambda view: pickle.decode_long(bytes(view))),
    pickle.LONG4: (4, lambda view: pickle.decode_long(bytes(view))),
    pickle.SHORT_BINBYTES: (1, bytes),
    pickle.BINBYTES: (4, bytes),
    pickle.BINBYTES8: (8, bytes),
    pickle.BYTEARRAY8: (8, lambda view: view),
    pickle.SHORT_BINUNICODE: (1, lambda view: str(view, "utf-8", "surrogatepass")),
    pickle.BINUNICODE: (4, lambda view: str(view, "utf-8", "surrogatepass")),
    pickle.BINUNICODE8: (8, lambda view: str(view, "utf-8", "surrogatepass")),
}
"""Opcodes followed by a length, its width in bytes, and what becomes of the bytes after it."""

_MAX_SIDES = 64  # of NumPy 2
_NAMES = frozenset(np.dtype(char).str[1:] for char in _DTYPES)


class _Parser:
    """Reads the opcodes that `encode` writes, and no others.

    Python's own unpickler believes lengths, memo indexes and states before it has seen the bytes
    for them. Nothing reads the memo here, so a tree is no larger than its bytes.
    """

    def __init__(self, content: bytes) -> None:
        self.content = memoryview(content)
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.nodes = self.tuples = 0

    def parse(self) -> object:
        while (code := bytes(self.take(1))) != pickle.STOP:
            self.step(code)
        if self.position != len(self.content):
            raise UnpicklingError("bytes follow its end")
        if self.marked or len(self.stack) != 1:
            raise UnpicklingError("it is damaged")
        return self.stack.pop()

    def step(self, code: bytes) -> None:
        if code in NUMBERS:
            values, self.position = read_numbers(self.content, self.position - 1)
            self.stack += values
        elif code in _SIZED:
            width, value = _SIZED[code]
            self.stack.append(value(self.take(int.from_bytes(self.take(width), "little"))))
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _TUPLES:
            self.push_tuple([self.stack.pop() for _ in range(_TUPLES[code])][::-1])
        elif code in _HANDLERS:
            _HANDLERS[code](self)
        else:
            raise UnpicklingError(f"it uses the pickle opcode {code!r}")

    def take(self, size: int) -> memoryview:
        start, self.position = self.position, self.position + size
        if self.position > len(self.content):
            raise EOFError
        return self.content[start : self.position]

    def node(self, value: object) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise UnpicklingError(_TOO_MANY)
        self.stack.append(value)

    def push_tuple(self, items: list[Any]) -> None:
        self.tuples += 1  # an array has four, in a hundred bytes
        if self.tuples * 16 > len(self.content):
            raise UnpicklingError("tuples have no canonical form")
        self.stack.append(tuple(items))

    def mark(self) -> None:
        if len(self.marked) > 2 * MAX_DEPTH:
            raise UnpicklingError(_TOO_DEEP)
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marked.pop()
        return values

    def append(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise UnpicklingError("it is damaged")
        self.stack[-1].extend(values)

    def set_items(self, items: list[Any]) -> None:
        keys = items[::2]
        if type(self.stack[-1]) is not dict or any(type(key) is not str for key in keys):
            raise UnpicklingError("keys must be strings")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def push_global(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:  # hashing others may never end
            raise UnpicklingError("it is damaged")
        if (module, name) not in _CALLS:
            raise UnpicklingError(f"it needs {module[:100]}.{name[:100]}")
        self.stack.append(_CALLS[module, name])

    def text_global(self) -> None:
        module, name, _ = bytes(self.content[self.position :][:400]).split(b"\n", 2)
        self.push_global(module.decode(), name.decode())

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_global(module, name)

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function not in _CALLS.values() or type(arguments) is not tuple:
            raise UnpicklingError("it calls what is no function")
        self.node(function(*arguments))

    def build(self) -> None:
        state = self.stack.pop()
        if type(self.stack[-1]) is not _Dtype or state[1] not in ("<", "|"):
            raise UnpicklingError("an array is not little-endian")


_TOO_DEEP = f"lists and dicts are nested deeper than {MAX_DEPTH}"
_TOO_MANY = f"more than {MAX_NODES:,} lists, dicts and arrays"

_HANDLERS: dict[bytes, Callable[[_Parser], object]] = {
    pickle.PROTO: lambda parser: parser.take(1),
    pickle.FRAME: lambda parser: parser.take(8),
    pickle.MEMOIZE: lambda parser: parser.take(0),
    pickle.EMPTY_LIST: lambda parser: parser.node([]),
    pickle.EMPTY_DICT: lambda parser: parser.node({}),
    pickle.EMPTY_TUPLE: lambda parser: parser.stack.append(()),
    pickle.TUPLE: lambda parser: parser.push_tuple(parser.pop_mark()),
    pickle.MARK: lambda parser: parser.mark(),
    pickle.GLOBAL: lambda parser: parser.text_global(),
    pickle.STACK_GLOBAL: lambda parser: parser.stack_global(),
    pickle.REDUCE: lambda parser: parser.call(),
    pickle.BUILD: lambda parser: parser.build(),
    pickle.APPEND: lambda parser: parser.append([parser.stack.pop()]),
    pickle.APPENDS: lambda parser: parser.append(parser.pop_mark()),
    pickle.SETITEM: lambda parser: parser.set_items([parser.stack.pop(-2), parser.stack.pop()]),
    pickle.SETITEMS: lambda parser: parser.set_items(parser.pop_mark()),
}


def _dtype(name: object, *_: object) -> _Dtype:
    """Return what a pickled dtype may be: the name of a plain number."""
    if type(name) is not str or name not in _NAMES:
        raise UnpicklingError("an array is not of plain numbers")
    return _Dtype(name)


def _array(buffer: object, dtype: object, shape: object, order: object, *_: object) -> object:
    if not isinstance(buffer, memoryview) or not isinstance(dtype, _Dtype) or order != "C":
        raise UnpicklingError("an array is not as this program writes it")
    if type(shape) is not tuple or len(shape) > _MAX_SIDES or any(map(_is_no_side, shape)):
        raise UnpicklingError("an array has no shape")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(buffer):
        raise UnpicklingError("an array has a shape for which there are no bytes")
    return np.frombuffer(buffer, str(dtype)).reshape(shape)


def _is_no_side(side: object) -> bool:
    return type(side) is not int or not 0 <= side <= sys.maxsize


_CALLS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "dtype"): _dtype,
    ("numpy._core.numeric", "_frombuffer"): _array,
    ("numpy.core.numeric", "_frombuffer"): _array,
}
"""Stand for NumPy's own constructors, which would believe whatever they are given."""


class _Canonical:
    """Brings a tree into its one form."""

    def __init__(self) -> None:
        self.nodes = 0
        self.path: list[str | int] = []

    def form(self, value: object) -> Any:  # noqa: ANN401 - any node of a tree
        if type(value) in _SCALARS:
            return value
        if isinstance(value, np.generic) and value.dtype.char in _DTYPES:
            return value.item()
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TypeError(_TOO_MANY)
        if len(self.path) > MAX_DEPTH:
            raise TypeError(_TOO_DEEP)
        match value:
            case np.ndarray():
                return self.array(value)
            case dict():
                if odd := [key for key in value if type(key) is not str]:
                    raise TypeError(f"{self.here}the key {odd[0]!r:.100} is no text")
                return {key: self.child(key, value[key]) for key in sorted(value)}
            case list() if _SCALARS.issuperset(map(type, value)):
                return value.copy()
            case list():
                return [self.child(number, item) for number, item in enumerate(value)]
            case _:
                raise TypeError(
                    f"{self.here}{_type_name(value)} has no canonical form; allowed are dicts, "
                    "lists, None, bool, int, float, str, bytes, and arrays and numbers of NumPy"
                )

    def child(self, key: str | int, value: object) -> Any:  # noqa: ANN401 - any node of a tree
        if type(value) in _SCALARS:
            return value
        self.path.append(key)
        formed = self.form(value)
        self.path.pop()
        return formed

    def array(self, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if value.dtype.char not in _DTYPES:
            raise TypeError(f"{self.here}an array of {value.dtype} has no canonical form")
        if not value.size and math.prod(side for side in value.shape if side) > MAX_EMPTY:
            raise TypeError(
                f"{self.here}an empty array of the shape {value.shape} has no canonical form"
            )
        array = np.array(value, dtype=value.dtype.newbyteorder("<"), order="C")
        array.flags.writeable = True
        return array

    @property
    def here(self) -> str:
        """Where in the tree this is, to start a message with."""
        return (
            f"{'.'.join(printable(key)[:100] for key in self.path)[-300:]}: " if self.path else ""
        )


def _type_name(value: object) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )

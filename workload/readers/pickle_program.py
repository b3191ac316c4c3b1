"""Pickles, parsed and never run.

A pickle is a program: it may import any function and call it. Here a global stands for nothing but
its own name; calling it gives a `Call`, a record of name and arguments, and never the real thing.
`pickle_globals` lists those that mean something to who reads the tree. The standard library's
unpickler can't do this: it calls what it finds, and believes lengths for which there are no bytes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from workload.readers.pickle_globals import ROLES
from workload.readers.pickle_numbers import NUMBERS, read_numbers

if TYPE_CHECKING:
    from collections.abc import Callable


PROTOCOLS = (3, 4, 5)
"""Pickle protocols that are read: all that have a type for bytes."""

MAX_OPCODES = 40_000_000
"""Most steps of a pickle, a run of numbers counted once; one of 1 byte takes up to 100."""

UNSET: Any = object()
"""The state of a call that nothing has set."""


@dataclass(frozen=True, slots=True)
class Name:
    """A global: a word, not the function or class it names; its role is "" if it has none."""

    role: str
    qualified: str


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A call or construction the pickle asked for, recorded instead of made."""

    function: Name | Call
    arguments: tuple[Any, ...]
    state: Any = UNSET

    @property
    def role(self) -> str:
        """The part of the called global; "" for the result of a call of a call."""
        return self.function.role if isinstance(self.function, Name) else ""

    def __repr__(self) -> str:
        # Without the arguments, which may contain the call itself.
        return f"<{kind_of(self.function)}>"


class _Parser:
    """Turns a pickle into plain values, `Name`s and `Call`s; a stack machine like pickle's own.

    Unlike pickle's it has no opcode for extension codes, persistent ids, instances by class name
    or out-of-band buffers, and believes no length it has not seen the bytes for. What is in sets,
    and in lists and dictionaries of other classes, is dropped.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def parse(self) -> object:
        for _ in range(MAX_OPCODES):
            if (code := self.take(1)) == pickle.STOP:
                return self.stack.pop()
            if code in NUMBERS:
                self.numbers()
            elif code in _HANDLERS:
                _HANDLERS[code](self)
            else:
                raise UnpicklingError(f"uses the pickle opcode {code!r}, which a dataset may not")
        raise UnpicklingError(
            f"has more than {MAX_OPCODES} parts, most of them objects; write it as parquet"
        )

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self.data):
            raise EOFError
        return self.data[start : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def sized(self, width: int) -> bytes:
        """Read bytes preceded by their length, itself `width` bytes long."""
        return self.take(self.number(width))

    def text(self, width: int) -> str:
        return self.sized(width).decode("utf-8", "surrogatepass")

    def line(self) -> str:
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1].decode("utf-8")

    def numbers(self) -> None:
        values, self.position = read_numbers(self.data, self.position - 1)
        self.stack += values

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marked.pop()
        return values

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def push_tuple(self, size: int) -> None:
        if size > len(self.stack):
            raise UnpicklingError("is damaged (tuple)")
        start = len(self.stack) - size
        self.stack[start:] = [tuple(self.stack[start:])]

    def push_global(self, module: object, name: object) -> None:
        qualified = f"{module}.{name}"
        self.push(Name(ROLES.get(qualified, ""), qualified))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise UnpicklingError("is damaged (global)")
        self.push_global(module, name)

    def call(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], arguments)

    def call_with_keywords(self) -> None:
        self.stack.pop()
        self.call()

    def frozen_set(self) -> None:
        self.pop_mark()
        self.push(Call(Name("", "builtins.frozenset"), ()))

    def add_items(self) -> None:
        self.pop_mark()
        if not _is_inert(self.stack[-1]):
            raise UnpicklingError(f"adds items to a {kind_of(self.stack[-1])}")

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call) or target.state is not UNSET:
            raise UnpicklingError(f"sets the state of a {kind_of(target)}")
        target.state = state

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if _is_inert(target):
            return
        if type(target) is not list:
            raise UnpicklingError(f"appends to a {kind_of(target)}")
        target += values

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if _is_inert(target):
            return
        if type(target) is not dict:
            raise UnpicklingError(f"sets items of a {kind_of(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a tuple descends into it, in C and without a limit; no frame needs one.
            if type(key) in _KEYS:
                target[key] = value


_KEYS = (str, int, float, bool, type(None))

_HANDLERS: dict[bytes, Callable[[_Parser], object]] = {
    pickle.PROTO: lambda parser: parser.take(1),
    pickle.FRAME: lambda parser: parser.take(8),
    pickle.NONE: lambda parser: parser.push(None),
    pickle.NEWTRUE: lambda parser: parser.push(True),
    pickle.NEWFALSE: lambda parser: parser.push(False),
    pickle.LONG1: lambda parser: parser.push(pickle.decode_long(parser.sized(1))),
    pickle.LONG4: lambda parser: parser.push(pickle.decode_long(parser.sized(4))),
    pickle.SHORT_BINBYTES: lambda parser: parser.push(parser.sized(1)),
    pickle.BINBYTES: lambda parser: parser.push(parser.sized(4)),
    pickle.BINBYTES8: lambda parser: parser.push(parser.sized(8)),
    pickle.BYTEARRAY8: lambda parser: parser.push(parser.sized(8)),
    pickle.SHORT_BINUNICODE: lambda parser: parser.push(parser.text(1)),
    pickle.BINUNICODE: lambda parser: parser.push(parser.text(4)),
    pickle.BINUNICODE8: lambda parser: parser.push(parser.text(8)),
    pickle.EMPTY_LIST: lambda parser: parser.push([]),
    pickle.EMPTY_DICT: lambda parser: parser.push({}),
    pickle.EMPTY_TUPLE: lambda parser: parser.push(()),
    pickle.TUPLE1: lambda parser: parser.push_tuple(1),
    pickle.TUPLE2: lambda parser: parser.push_tuple(2),
    pickle.TUPLE3: lambda parser: parser.push_tuple(3),
    pickle.TUPLE: lambda parser: parser.push(tuple(parser.pop_mark())),
    pickle.MARK: lambda parser: parser.mark(),
    pickle.POP: lambda parser: parser.pop(),
    pickle.POP_MARK: lambda parser: parser.pop_mark(),
    pickle.BINGET: lambda parser: parser.push(parser.memo[parser.number(1)]),
    pickle.LONG_BINGET: lambda parser: parser.push(parser.memo[parser.number(4)]),
    pickle.BINPUT: lambda parser: parser.memo.update({parser.number(1): parser.stack[-1]}),
    pickle.LONG_BINPUT: lambda parser: parser.memo.update({parser.number(4): parser.stack[-1]}),
    pickle.MEMOIZE: lambda parser: parser.memo.update({len(parser.memo): parser.stack[-1]}),
    pickle.GLOBAL: lambda parser: parser.push_global(parser.line(), parser.line()),
    pickle.STACK_GLOBAL: lambda parser: parser.stack_global(),
    pickle.REDUCE: lambda parser: parser.call(),
    pickle.NEWOBJ: lambda parser: parser.call(),
    pickle.NEWOBJ_EX: lambda parser: parser.call_with_keywords(),
    pickle.EMPTY_SET: lambda parser: parser.push(Call(Name("", "builtins.set"), ())),
    pickle.ADDITEMS: lambda parser: parser.add_items(),
    pickle.FROZENSET: lambda parser: parser.frozen_set(),
    pickle.BUILD: lambda parser: parser.build(),
    pickle.APPEND: lambda parser: parser.append([parser.stack.pop()]),
    pickle.APPENDS: lambda parser: parser.append(parser.pop_mark()),
    pickle.SETITEM: lambda parser: parser.set_items([parser.stack.pop(-2), parser.stack.pop()]),
    pickle.SETITEMS: lambda parser: parser.set_items(parser.pop_mark()),
}
"""What each opcode does; the standard library's pickletools describes them."""


def parse(data: bytes) -> object:
    """Return what a pickle describes, as plain values, `Name` and `Call`.

    Raises:
        UnpicklingError: it is of another protocol, or has opcodes that reach outside; the message
            completes a sentence that begins with the file's name.
        EOFError: it ends in the middle.
        Exception: of any kind, for damaged bytes.
    """
    if data[:2] == b"\x1f\x8b":
        raise UnpicklingError("is compressed; allowed is a plain pickle")
    if data[:1] != pickle.PROTO or data[1] not in PROTOCOLS:
        raise UnpicklingError(f"is not a pickle of protocol {PROTOCOLS[0]} to {PROTOCOLS[-1]}")
    return _Parser(data).parse()


def kind_of(value: object) -> str:
    """Return what a value is, for an error line."""
    if not isinstance(value, Name):
        return type(value).__name__
    return (value.qualified if value.qualified.isprintable() else ascii(value.qualified))[:100]


def _is_inert(value: object) -> bool:
    """Return whether a value is what a global without a role gave."""
    return isinstance(value, Call) and not value.role


def _call(function: object, arguments: object) -> Call:
    """Record a call."""
    if not isinstance(arguments, tuple):
        raise UnpicklingError(f"calls something with a {kind_of(arguments)} for arguments")
    if not isinstance(function, (Name, Call)):
        raise UnpicklingError(f"calls a {kind_of(function)}")
    return Call(function, arguments)

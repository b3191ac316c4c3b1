"""Pickles of data frames and arrays, read without running anything that is in them.

A pickle is a program: it may import any function and call it. Here it is only *parsed*. Every
global a pandas or NumPy pickle needs is on a list, by exact module and name, and stands for
nothing but its own name; calling it gives a `Call`, a record of name and arguments, and never the
real thing. What comes out is a tree of plain values and such records, from which columns are then
read by pattern. So no function of pandas, NumPy or pyarrow sees a hostile argument, a few bytes
cannot ask for a large array (a shape must match the bytes that are really there), and pandas need
not be imported.

The layouts are those written by pandas 1.0 to 3.1 with NumPy 1.18 to 2.4 and pickle protocols 3
to 5; what each class stores was read off their pickles (pandas' own list of moved names is
`pandas.compat.pickle_compat`).
"""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PROTOCOLS = (3, 4, 5)
"""Pickle protocols that are read: all that have a type for bytes."""

MAX_COLUMNS = 1_000
"""Most columns of a frame; looking for one takes time in proportion to their number squared."""

ALLOWED = {
    "builtins.bytearray": "bytes",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "pandas.DataFrame": "frame",
    "pandas.core.frame.DataFrame": "frame",
    "pandas.Series": "series",
    "pandas.core.series.Series": "series",
    "pandas.core.internals.managers.BlockManager": "manager",
    "pandas.core.internals.managers.SingleBlockManager": "opaque",
    "pandas._libs.internals._unpickle_block": "block",
    "pandas.core.internals.blocks.new_block": "block",
    "functools.partial": "partial",
    "builtins.slice": "slice",
    "builtins.getattr": "getattr",
    "pandas.core.indexes.base._new_Index": "index",
    "pandas.core.indexes.datetimes._new_DatetimeIndex": "opaque",
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": "backed",
    "pandas.arrays.DatetimeArray": "datetimes",
    "pandas.core.arrays.datetimes.DatetimeArray": "datetimes",
    "pandas.arrays.StringArray": "strings",
    "pandas.core.arrays.string_.StringArray": "strings",
    "pandas.core.arrays.string_.StringArrayNumpySemantics": "strings",
    "pandas.arrays.IntegerArray": "masked",
    "pandas.core.arrays.integer.IntegerArray": "masked",
    "pandas.arrays.FloatingArray": "masked",
    "pandas.core.arrays.floating.FloatingArray": "masked",
    "pandas.arrays.ArrowExtensionArray": "arrow",
    "pandas.core.arrays.arrow.array.ArrowExtensionArray": "arrow",
    "pandas.arrays.ArrowStringArray": "arrow",
    "pandas.core.arrays.string_arrow.ArrowStringArray": "arrow",
    "pandas.core.arrays.string_arrow.ArrowStringArrayNumpySemantics": "arrow",
    "pyarrow.lib.chunked_array": "chunks",
    "pyarrow.lib._restore_array": "chunk",
    "pyarrow.lib.py_buffer": "bytes",
    "pyarrow.lib.type_for_alias": "alias",
    "pyarrow.lib.timestamp": "timestamp",
    "zoneinfo.ZoneInfo": "zone",
}
"""Globals in pickles of data frames, and the part each plays in reading the columns."""

_OPAQUE = {
    "numpy": "ndarray",
    "datetime": "date datetime time timedelta timezone",
    "pandas": (
        "ArrowDtype BooleanDtype Categorical CategoricalDtype CategoricalIndex DatetimeIndex "
        "DatetimeTZDtype Float32Dtype Float64Dtype Index Int16Dtype Int32Dtype Int64Dtype "
        "Int8Dtype IntervalDtype IntervalIndex MultiIndex NA PeriodDtype PeriodIndex RangeIndex "
        "SparseDtype StringDtype TimedeltaIndex UInt16Dtype UInt32Dtype UInt64Dtype UInt8Dtype"
    ),
    "pandas._libs.interval": "Interval __pyx_unpickle_IntervalMixin",
    "pandas._libs.missing": "NA",
    "pandas._libs.sparse": "IntIndex BlockIndex",
    "pandas._libs.tslibs.nattype": "__nat_unpickle _nat_unpickle",
    "pandas._libs.tslibs.offsets": "Day Hour Minute Second",
    "pandas._libs.tslibs.period": "__pyx_unpickle_PeriodMixin Period",
    "pandas._libs.tslibs.timedeltas": "Timedelta _timedelta_unpickle",
    "pandas._libs.tslibs.timestamps": "Timestamp _unpickle_timestamp",
    "pandas.arrays": (
        "BooleanArray IntervalArray PeriodArray SparseArray TimedeltaArray Categorical"
    ),
    "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.floating": "Float32Dtype Float64Dtype",
    "pandas.core.arrays.integer": (
        "Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype"
    ),
    "pandas.core.arrays.interval": "IntervalArray",
    "pandas.core.arrays.period": "PeriodArray",
    "pandas.core.arrays.sparse.array": "SparseArray",
    "pandas.core.arrays.sparse.dtype": "SparseDtype",
    "pandas.core.arrays.string_": "StringDtype",
    "pandas.core.arrays.timedeltas": "TimedeltaArray",
    "pandas.core.dtypes.dtypes": (
        "ArrowDtype CategoricalDtype DatetimeTZDtype IntervalDtype PeriodDtype SparseDtype"
    ),
    "pandas.core.indexes.base": "Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "DatetimeIndex",
    "pandas.core.indexes.interval": "IntervalIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.numeric": "Int64Index UInt64Index Float64Index",
    "pandas.core.indexes.period": "PeriodIndex _new_PeriodIndex",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.indexes.timedeltas": "TimedeltaIndex",
    "pandas.tseries.offsets": "Day Hour Minute Second",
    "pytz": "_UTC _p",
}
"""Globals of row indexes and of columns nobody asks for: only carried along."""

ALLOWED |= {f"{module}.{name}": "opaque" for module in _OPAQUE for name in _OPAQUE[module].split()}

_ARROW_TYPES = {
    **{f"int{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    "float": "<f4",
    "double": "<f8",
}
"""Arrow's names of the number types, as NumPy's."""

_UNSET: Any = object()

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Name:
    """A listed global: a word, not the function or class it names."""

    role: str
    qualified: str


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A call or construction the pickle asked for, recorded instead of made."""

    function: Name | Call
    arguments: tuple[Any, ...]
    state: Any = _UNSET

    @property
    def role(self) -> str:
        """The part of the called global; "" for the result of a call of a call."""
        return self.function.role if isinstance(self.function, Name) else ""

    def __repr__(self) -> str:
        # Without the arguments, which may contain the call itself.
        return f"<{_kind(self.function)}>"


class _Parser:
    """Turns a pickle into plain values, `Name`s and `Call`s; a stack machine like pickle's own.

    Unlike pickle's it has no opcode for extension codes, persistent ids, sets, instances by class
    name or out-of-band buffers, and believes no length it has not seen the bytes for.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def parse(self) -> object:
        while (code := self.take(1)) != pickle.STOP:
            if code in _NUMBERS:
                self.numbers()
            elif code in _HANDLERS:
                _HANDLERS[code](self)
            else:
                raise UnpicklingError(f"uses the pickle opcode {code!r}, which a dataset may not")
        return self.stack.pop()

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self.data):
            raise EOFError
        return self.data[start : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def sized(self, width: int) -> bytes:
        """Bytes preceded by their length, itself `width` bytes long."""
        return self.take(self.number(width))

    def text(self, width: int) -> str:
        return self.sized(width).decode("utf-8", "surrogatepass")

    def line(self) -> str:
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1].decode("utf-8")

    def numbers(self) -> None:
        """A run of numbers, such as a column of objects, is left to the fast C unpickler.

        The pattern admits number opcodes only, so nothing else can be in what it is given.
        """
        run = _NUMBER_RUN.match(self.data, self.position - 1)
        if run is None:
            raise EOFError
        self.position = run.end()
        content = pickle.PROTO + b"\x04" + pickle.MARK + run[0] + pickle.LIST + pickle.STOP
        self.stack += pickle.loads(content)  # noqa: S301 - numbers only

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
        if qualified not in ALLOWED:
            raise _refusal(qualified)
        self.push(Name(ALLOWED[qualified], qualified))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise UnpicklingError("is damaged (global)")
        self.push_global(module, name)

    def call(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], arguments)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call) or target.state is not _UNSET:
            raise UnpicklingError(f"sets the state of a {_kind(target)}")
        target.state = state

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnpicklingError(f"appends to a {_kind(target)}")
        target += values

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise UnpicklingError(f"sets items of a {_kind(target)}")
        for key in items[::2]:
            # Hashing a tuple descends into it, in C and without a limit.
            if type(key) not in _KEYS:
                raise UnpicklingError(f"has a dictionary whose key is a {_kind(key)}")
        target.update(zip(items[::2], items[1::2], strict=True))


_KEYS = (str, int, float, bool, type(None))

_NUMBERS = frozenset([pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT])
_NUMBER_RUN = re.compile(rb"(?:K.|M..|J.{4}|G.{8})++", re.DOTALL)

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
    pickle.BUILD: lambda parser: parser.build(),
    pickle.APPEND: lambda parser: parser.append([parser.stack.pop()]),
    pickle.APPENDS: lambda parser: parser.append(parser.pop_mark()),
    pickle.SETITEM: lambda parser: parser.set_items([parser.stack.pop(-2), parser.stack.pop()]),
    pickle.SETITEMS: lambda parser: parser.set_items(parser.pop_mark()),
}
"""What each opcode does; the standard library's pickletools describes them."""


def _refusal(qualified: str) -> UnpicklingError:
    shown = qualified if qualified.isprintable() else ascii(qualified)
    return UnpicklingError(f"needs {shown[:100]}, which a dataset may not")


def _kind(value: object) -> str:
    return value.qualified if isinstance(value, Name) else type(value).__name__


def _call(function: object, arguments: object) -> Call:
    """Record a call; the three globals that make others reachable may only do what pandas does."""
    if not isinstance(arguments, tuple):
        raise UnpicklingError(f"calls something with a {_kind(arguments)} for arguments")
    match function:
        case Name(role="getattr"):
            # How zoneinfo pickles a time zone: getattr(ZoneInfo, "_unpickle")(key, 1).
            match arguments:
                case (Name(role="zone"), "_unpickle"):
                    return Call(function, arguments)
            raise _refusal(function.qualified)
        case Name(role="partial"):
            # How pandas 1.3 pickles a block: partial(new_block, ndim=2)(values, placement).
            match arguments:
                case (Name(role="block"),):
                    return Call(function, arguments)
            raise _refusal(function.qualified)
        case Name() | Call(function=Name(role="getattr" | "partial")):
            return Call(function, arguments)
    raise UnpicklingError(f"calls a {_kind(function)}")


@dataclass(frozen=True, slots=True)
class Frame:
    """The columns of a pickled data frame, decoded when asked for."""

    names: tuple[str, ...]
    """Column names in order; those that are not strings are given as ""."""
    blocks: tuple[tuple[Any, Any], ...]
    """Values and placement of each block, as in the pickle."""
    _decoded: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False, compare=False)

    def column(self, name: str) -> NDArray[Any]:
        """The values of the first column called `name`, shape (rows,).

        Numbers and dates (UTC) come in the type they are stored in, anything else as objects.

        Raises:
            UnpicklingError: the values are damaged, missing, or of a type that is not read.
        """
        return _guarded(self._column, self.names.index(name))

    def _column(self, position: int) -> NDArray[Any]:
        for number, (values, placement) in enumerate(self.blocks):
            positions = _positions(placement, len(self.names))
            if position not in positions:
                continue
            if number not in self._decoded:
                array = _values(values)
                self._decoded[number] = array[None] if array.ndim == 1 else array
            block = self._decoded[number]
            if block.ndim != 2 or len(block) != len(positions):  # noqa: PLR2004 - column, row
                raise UnpicklingError("is damaged (block of another shape)")
            column: NDArray[Any] = block[positions.index(position)]
            return column
        raise UnpicklingError("is damaged (column without values)")


def load_frame(data: bytes) -> Frame:
    """Read a pickled pandas DataFrame.

    Args:
        data: the file's bytes.

    Raises:
        UnpicklingError: not a pickle, damaged, not a data frame, or in need of a global that is
            not listed; the message completes a sentence that begins with the file's name.
    """
    return _guarded(_frame, data)


def _guarded(read: Callable[..., _Result], argument: object) -> _Result:
    """Call `read`, and turn whatever damaged bytes make it raise into one exception."""
    try:
        return read(argument)
    except (UnpicklingError, MemoryError):
        raise
    except EOFError:
        raise UnpicklingError("ends in the middle") from None
    except Exception as error:
        raise UnpicklingError(f"is damaged ({type(error).__name__})") from error


def _frame(data: bytes) -> Frame:
    if data[:2] == b"\x1f\x8b":
        raise UnpicklingError("is compressed; allowed is a plain pickle")
    if data[:1] != pickle.PROTO or data[1] not in PROTOCOLS:
        raise UnpicklingError(f"is not a pickle of protocol {PROTOCOLS[0]} to {PROTOCOLS[-1]}")
    tree = _Parser(data).parse()
    if not isinstance(tree, Call) or tree.role != "frame":
        found = tree.function if isinstance(tree, Call) else tree
        raise UnpicklingError(f"holds a {_kind(found)}, not a DataFrame")
    manager = tree.state.get("_mgr", tree.state.get("_data"))  # _data until pandas 1.0
    if not isinstance(manager, Call) or manager.role != "manager":
        raise UnpicklingError("is damaged (DataFrame without blocks)")
    if manager.state is _UNSET:
        blocks, axes = manager.arguments
        pairs = [(block.arguments[0], block.arguments[1]) for block in blocks]
    else:  # until pandas 1.2
        inner = manager.state[3]["0.14.1"]
        axes = inner["axes"]
        pairs = [(block["values"], block["mgr_locs"]) for block in inner["blocks"]]
    names = _names(axes[0])
    if len(names) > MAX_COLUMNS or len(pairs) > MAX_COLUMNS:
        raise UnpicklingError(f"has more than {MAX_COLUMNS} columns")
    return Frame(names, tuple(pairs))


def _names(index: Call) -> tuple[str, ...]:
    if index.role != "index" or "data" not in index.arguments[1]:
        return ()
    labels = _values(index.arguments[1]["data"])
    return tuple(label if isinstance(label, str) else "" for label in labels.ravel())


def _positions(placement: object, columns: int) -> list[int]:
    """Numbers of the columns in a block, in the order of its rows."""
    if isinstance(placement, Call) and placement.role == "slice":
        return list(range(columns)[slice(*map(_integer, placement.arguments))])
    array = _values(placement)
    if array.size > columns:
        raise UnpicklingError("is damaged (more columns than names)")
    positions: list[int] = array.tolist()
    return positions


def _integer(node: object) -> int | None:
    if isinstance(node, Call) and node.role == "scalar":
        return int(_scalar(node))
    if node is None or type(node) is int:
        return node
    raise UnpicklingError(f"is damaged ({_kind(node)} instead of an integer)")


def _values(node: object) -> NDArray[Any]:
    """The array a record stands for, whichever class of pandas, NumPy or pyarrow wraps it."""
    if not isinstance(node, Call):
        raise UnpicklingError(f"is damaged ({_kind(node)} instead of an array)")
    if node.role in _READERS:
        return _READERS[node.role](node)
    raise UnpicklingError(f"is a {_kind(node.function)}, which is not read")


def _reconstructed(node: Call) -> NDArray[Any]:
    _, shape, kind, fortran, raw = node.state
    return _array(raw, kind, shape, "F" if fortran else "C")


def _from_buffer(node: Call) -> NDArray[Any]:
    raw, kind, shape, order, *_ = node.arguments
    return _array(raw, kind, shape, order)


def _backed(node: Call) -> NDArray[Any]:
    """Classes pandas implements around one array: a class, then (dtype, array) in either order."""
    wrapper = node.arguments[0]
    if wrapper.role not in ("datetimes", "strings"):
        raise UnpicklingError(f"is a {_kind(wrapper)}, which is not read")
    return next(_values(part) for part in node.state if _is_array(part))


def _wrapped(node: Call) -> NDArray[Any]:
    for key in ("_data", "_ndarray", "_pa_array"):
        if key in node.state:
            return _values(node.state[key])
    raise UnpicklingError("is damaged (column without values)")


def _masked(node: Call) -> NDArray[Any]:
    data, mask = node.state["_data"], node.state["_mask"]
    if not (_is_array(data) and _is_array(mask)):
        raise UnpicklingError("is damaged (column without values)")
    if _values(mask).any():
        raise UnpicklingError("has missing values")
    return _values(data)


def _chunked(node: Call) -> NDArray[Any]:
    (chunk,) = node.arguments[0]
    return _values(chunk)


def _chunk(node: Call) -> NDArray[Any]:
    kind, length, _, offset, buffers, *_ = node.arguments[0]
    return _arrow(kind, length, offset, buffers)


_READERS: dict[str, Callable[[Call], NDArray[Any]]] = {
    "reconstruct": _reconstructed,
    "frombuffer": _from_buffer,
    "backed": _backed,
    "datetimes": _wrapped,
    "masked": _masked,
    "arrow": _wrapped,
    "chunks": _chunked,
    "chunk": _chunk,
}
"""How the array is found in a record, by the part its global plays."""


def _is_array(node: object) -> bool:
    return isinstance(node, Call) and node.role in ("reconstruct", "frombuffer")


def _array(
    raw: object, kind: Call, shape: tuple[int, ...], order: Literal["C", "F"]
) -> NDArray[Any]:
    if not all(type(size) is int and size >= 0 for size in shape):
        raise UnpicklingError("is damaged (array shape)")
    dtype = _dtype(kind)
    if dtype.hasobject:
        if type(raw) is not list or len(raw) != math.prod(shape):
            raise UnpicklingError("is damaged (array size)")
        elements = map(_element, raw) if Call in set(map(type, raw)) else raw
        # NumPy writes objects in C order, whatever the order of the array.
        return np.fromiter(elements, dtype=object, count=len(raw)).reshape(shape)
    content = _bytes(raw)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise UnpicklingError("is damaged (array size)")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _element(node: object) -> object:
    return _scalar(node) if isinstance(node, Call) and node.role == "scalar" else node


def _scalar(node: Call) -> np.generic:
    kind, raw = node.arguments
    scalar: np.generic = _array(_bytes(raw), kind, (1,), "C")[0]
    return scalar


def _dtype(node: Call) -> np.dtype[Any]:
    code, order = node.arguments[0], node.state[1]
    if node.role != "dtype" or not re.fullmatch(r"[biufcSU][1-9][0-9]{0,8}|[Mm]8|O8?", code):
        raise UnpicklingError("is damaged or of a type that is not read (array type)")
    if code[0] in "Mm":
        unit, count, *_ = node.state[8][1]
        code = f"{code}[{_integer(count)}{unit.decode('ascii')}]"
    dtype: np.dtype[Any] = np.dtype(code)
    return dtype.newbyteorder(order)


def _bytes(node: object) -> bytes:
    """Bytes, or those in a bytearray or pyarrow buffer made of them."""
    while isinstance(node, Call) and node.role == "bytes":
        (node,) = node.arguments
    if not isinstance(node, bytes):
        raise UnpicklingError(f"is damaged ({_kind(node)} instead of bytes)")
    return node


def _arrow(kind: Call, length: int, offset: int, buffers: list[Any]) -> NDArray[Any]:
    """A pyarrow array from its buffers (Arrow columnar format, "Physical Memory Layout").

    Args:
        kind: the type.
        length: number of values.
        offset: number of values to skip in each buffer.
        buffers: a bit per value, or None when none is missing; then the values, or for strings
            their bounds and the text.
    """
    window = slice(offset, offset + length)
    valid, content = buffers[0], _bytes(buffers[1])
    if valid is None:
        missing = np.zeros(0, dtype=np.intp)
    else:
        bits = np.unpackbits(np.frombuffer(_bytes(valid), np.uint8), bitorder="little")[window]
        missing = np.flatnonzero(bits == 0)
    match kind:
        case Call(function=Name(role="alias"), arguments=("string" | "large_string" as name,)):
            bounds = np.frombuffer(content, "<i4" if name == "string" else "<i8")
            bounds = bounds[offset : offset + length + 1]
            text = _bytes(buffers[2])
            # Overlapping strings would be a way to ask for more memory than the file has bytes.
            if bounds.size != length + 1 or bounds[0] < 0 or (np.diff(bounds) < 0).any():
                raise UnpicklingError("is damaged (string bounds)")
            strings = np.empty(length, dtype=object)
            for row, (first, last) in enumerate(pairwise(bounds.tolist())):
                strings[row] = text[first:last].decode()
            strings[missing] = None
            return strings
        case Call(function=Name(role="alias"), arguments=(name,)) if name in _ARROW_TYPES:
            dtype = _ARROW_TYPES[name]
        case Call(
            function=Name(role="timestamp"), arguments=("s" | "ms" | "us" | "ns" as unit, *_)
        ):
            dtype = f"<M8[{unit}]"
        case _:
            raise UnpicklingError("is of a pyarrow type that is not read")
    if missing.size:
        raise UnpicklingError("has missing values")
    values = np.frombuffer(content, dtype)[window]
    if values.size != length:
        raise UnpicklingError("is damaged (array size)")
    return values

"""Pickles of data frames and arrays, read without running anything that is in them.

`pickle_program` parses the pickle to a tree of plain values and records of calls, none of which is
made. Columns are read from it by pattern. So no function of pandas, NumPy or pyarrow sees a hostile
argument, a few bytes cannot ask for a large array (a shape must match the bytes that are really
there), and pandas need not be imported. A column that nobody asks for is not looked at.

The layouts are those written by pandas 1.0 to 3.1 with NumPy 1.18 to 2.4 and pickle protocols 3
to 5; what each class stores was read off their pickles (pandas' own list of moved names is
`pandas.compat.pickle_compat`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from workload.readers.pickle_program import UNSET, Call, Name, kind_of, parse
from workload.readers.pickled_arrow import arrow_values, raw_bytes, without
from workload.readers.pickled_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MAX_COLUMNS = 1_000
"""Most columns of a frame; looking for one takes time in proportion to their number squared."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Frame:
    """The columns of a pickled data frame, decoded when asked for."""

    names: tuple[str, ...]
    """Column names in order; those that are not strings are given as ""."""
    blocks: tuple[tuple[Any, Any], ...]
    """Values and placement of each block, as in the pickle."""
    _decoded: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False, compare=False)

    def column(self, name: str) -> NDArray[Any]:
        """Return the values of the first column called `name`, shape (rows,).

        Numbers and dates (UTC) come in the type they are stored in, anything else as objects: None
        where a value is missing, a `Name` or `Call` for one that is not read.

        Raises:
            UnpicklingError: the values are damaged, or of a type that is not read.
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
            return _plain(block[positions.index(position)])
        raise UnpicklingError("is damaged (column without values)")


def load_frame(data: bytes) -> Frame:
    """Read a pickled pandas DataFrame.

    Args:
        data: the file's bytes.

    Raises:
        UnpicklingError: not a pickle, damaged, or not a data frame; the message completes a
            sentence that begins with the file's name.
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
    tree = parse(data)
    if not isinstance(tree, Call) or tree.role != "frame":
        found = tree.function if isinstance(tree, Call) else tree
        raise UnpicklingError(f"holds a {kind_of(found)}, not a DataFrame")
    manager = tree.state.get("_mgr", tree.state.get("_data"))  # _data until pandas 1.0
    if not isinstance(manager, Call) or manager.role != "manager":
        raise UnpicklingError("is damaged (DataFrame without blocks)")
    if manager.state is UNSET:
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
    """Return the numbers of the columns in a block, in the order of its rows."""
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
    raise UnpicklingError(f"is damaged ({kind_of(node)} instead of an integer)")


def _values(node: object) -> NDArray[Any]:
    """Return a record's array, whichever class of pandas, NumPy or pyarrow wraps it."""
    if not isinstance(node, Call):
        raise UnpicklingError(f"is damaged ({kind_of(node)} instead of an array)")
    if node.role in _READERS:
        return _READERS[node.role](node)
    raise UnpicklingError(f"is a {kind_of(node.function)}, which is not read")


def _reconstructed(node: Call) -> NDArray[Any]:
    _, shape, kind, fortran, raw = node.state
    return _array(raw, kind, shape, "F" if fortran else "C")


def _from_buffer(node: Call) -> NDArray[Any]:
    raw, kind, shape, order, *_ = node.arguments
    return _array(raw, kind, shape, order)


def _backed(node: Call) -> NDArray[Any]:
    """Return the array in a pandas class around one: a class, then (dtype, array) in any order."""
    wrapper = node.arguments[0]
    if wrapper.role == "categorical":
        return _categorical(node)
    if wrapper.role not in ("datetimes", "strings"):
        raise UnpicklingError(f"is a {kind_of(wrapper)}, which is not read")
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
    return without(_values(data), _values(mask).astype(bool))


def _index(node: Call) -> NDArray[Any]:
    if "data" not in node.arguments[1]:
        raise UnpicklingError("has categories that are not read")
    return _values(node.arguments[1]["data"])


def _categorical(node: Call) -> NDArray[Any]:
    """Return the categories that the codes stand for."""
    state = node.state
    if isinstance(state, dict):  # until pandas 1.2
        kind, codes = state["_dtype"], state.get("_codes", state.get("_ndarray"))
    else:
        kind = next(part for part in state if isinstance(part, Call) and not part.role)
        codes = next(part for part in state if _is_array(part))
    index = kind.state["categories"]
    data = index.arguments[1].get("data")
    if not _is_array(codes) or (isinstance(data, Call) and _is_categorical(data)):
        raise UnpicklingError("is damaged (categories)")
    categories, numbers = _plain(_values(index)), _values(codes)
    # Text of a fixed width would be a way to ask for more memory than the file has bytes.
    if categories.ndim != 1 or categories.dtype.kind not in "iufMO" or numbers.dtype.kind != "i":
        raise UnpicklingError("has categories that are not read")
    absent = numbers == -1
    if not categories.size and absent.all():
        return np.full(numbers.shape, None, dtype=object)
    return without(categories[np.where(absent, 0, numbers)], absent)


def _is_categorical(node: Call) -> bool:
    wrapper = node.arguments[0] if node.role == "backed" else node.function
    return isinstance(wrapper, Name) and wrapper.role == "categorical"


def _chunked(node: Call) -> NDArray[Any]:
    # One that is there many times would take more memory than the file has bytes.
    chunks, buffers = node.arguments[0], set[int]()
    for chunk in chunks:
        for part in chunk.arguments[0][4]:
            if part is not None and len(content := raw_bytes(part)) > 1:
                if id(content) in buffers:
                    raise UnpicklingError("is damaged (a chunk that is there twice)")
                buffers.add(id(content))
    return np.concatenate(list(map(_values, chunks)))


def _chunk(node: Call) -> NDArray[Any]:
    kind, length, _, offset, buffers, *_ = node.arguments[0]
    return arrow_values(kind, length, offset, buffers)


_READERS: dict[str, Callable[[Call], NDArray[Any]]] = {
    "reconstruct": _reconstructed,
    "frombuffer": _from_buffer,
    "backed": _backed,
    "datetimes": _wrapped,
    "masked": _masked,
    "categorical": _categorical,
    "index": _index,
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
        # NumPy writes objects in C order, whatever the order of the array.
        return np.fromiter(raw, dtype=object, count=len(raw)).reshape(shape)
    content = raw_bytes(raw)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise UnpicklingError("is damaged (array size)")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects with records of numbers and moments turned into these."""
    if values.dtype.kind != "O" or not {Call, Name} & set(map(type, values.tolist())):
        return values
    return np.fromiter(map(_element, values), dtype=object, count=values.size)


def _element(node: object) -> object:
    return _scalar(node) if isinstance(node, Call) and node.role == "scalar" else plain(node)


def _scalar(node: Call) -> np.generic:
    kind, raw = node.arguments
    scalar: np.generic = _array(raw_bytes(raw), kind, (1,), "C")[0]
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

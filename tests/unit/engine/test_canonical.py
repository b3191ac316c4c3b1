"""Checkpoint bytes are a function of the values alone, and loading them runs nothing."""

from __future__ import annotations

import math
import pickle
import pickletools
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workload.engine.canonical import MAX_DEPTH, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = st.sampled_from(
    [np.dtype(name) for name in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]
    + [np.dtype(name) for name in ("f2", "f4", "f8", "q", "Q", "l", "L")]
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | ARRAYS
)
TREES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def disguised(value: Any) -> Any:
    """Return the same values in other objects: new, in another order, layout and byte order."""
    match value:
        case np.ndarray():
            wide = np.zeros([2 * side for side in value.shape], value.dtype.newbyteorder(">"), "F")
            every_other: tuple[Any, ...] = (..., *[slice(None, None, 2)] * value.ndim)
            view = wide[every_other]
            view[...] = value
            view.flags.writeable = False
            return view
        case dict():
            return {"".join(key): disguised(value[key]) for key in reversed(value)}
        case list():
            return [disguised(item) for item in value]
        case str():
            return "".join(value)
        case bytes():
            return bytes(bytearray(value))
        case _:
            return value


def same(one: Any, other: Any) -> bool:
    """Return whether type and value are equal; NaN equals NaN, and the zeros differ by sign."""
    if type(one) is not type(other):
        return False
    match one:
        case np.ndarray():
            return bool(
                one.dtype == other.dtype
                and one.shape == other.shape
                and one.tobytes() == other.tobytes()
            )
        case dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list():
            return len(one) == len(other) and all(map(same, one, other))
        case float():
            return repr(one) == repr(other)
        case _:
            return bool(one == other)


def _kind(value: object) -> str:
    return type(value).__name__


def leaves(value: Any) -> list[Any]:
    match value:
        case dict():
            return [leaf for item in value.items() for part in item for leaf in leaves(part)]
        case list():
            return [leaf for item in value for leaf in leaves(item)]
        case _:
            return [value]


@settings(deadline=None, max_examples=60)
@given(TREES)
def test_equal_values_give_equal_bytes_whatever_their_identity_order_and_layout(
    tree: dict[str, Any],
) -> None:
    assert encode(disguised(tree)) == encode(tree)


@settings(deadline=None, max_examples=60)
@given(TREES)
def test_values_survive_the_round_trip_and_encode_to_the_same_bytes_again(
    tree: dict[str, Any],
) -> None:
    content = encode(tree)
    again = decode(content)
    assert same(again, tree)
    assert encode(again) == content


@settings(deadline=None, max_examples=60)
@given(TREES)
def test_plain_pickle_finds_only_builtins_and_arrays(tree: dict[str, Any]) -> None:
    allowed = {bool, int, float, str, bytes, type(None), np.ndarray}
    content = encode(tree)
    assert content[:2] == pickle.PROTO + b"\x05"
    plain = pickle.loads(content)
    assert {type(leaf) for leaf in leaves(plain)} <= allowed
    assert same(plain, tree)


def test_one_object_in_two_places_leaves_no_trace() -> None:
    array, text, numbers = np.arange(3.0), "some words", [1, 2]
    shared = {"a": [array, text, numbers], "b": [array, text, numbers]}
    apart = {"a": [array, text, numbers], "b": [array.copy(), "".join(list(text)), [1, 2]]}
    assert encode(shared) == encode(apart)


def test_arrays_come_back_writeable_and_in_c_order() -> None:
    frozen = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    frozen.flags.writeable = False
    again = decode(encode({"a": frozen}))["a"]
    assert again.flags.c_contiguous
    assert again.flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        object(),
        (1, 2),
        {1, 2},
        1j,
        np.longdouble(1.0),
        np.complex128(1.0),
        np.datetime64("2018-04-01"),
        np.timedelta64(1, "s"),
        np.str_("text"),
        np.array([None]),
        np.array(["text"]),
        np.array(["2018-04-01"], "M8[D]"),
        np.array([1j]),
        np.zeros(1, np.longdouble),
        np.zeros(1, [("field", "f8")]),
        {1: "a key that is no string"},
        math,
        print,
    ],
    ids=_kind,
)
def test_anything_else_is_not_encoded_and_named_with_its_place(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        encode({"before": [1], "outer": [{"inner": 1}, {"inner": value}]})
    message = str(caught.value)
    assert message.startswith("outer.1.inner: ")
    kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
    assert str(kind) in message or "the key 1 is no text" in message
    assert "\n" not in message


@settings(deadline=None, max_examples=60)
@given(
    DTYPES.flatmap(
        lambda dtype: arrays.arrays(
            dtype, 1, elements={"allow_nan": False} if dtype.kind == "f" else None
        )
    )
)
def test_a_number_of_numpy_gives_the_bytes_of_the_equal_python_number(array: Any) -> None:
    (number,), (plain,) = array, array.tolist()
    assert type(plain) in {bool, int, float}
    assert encode({"a": number, "b": [number, [number]]}) == encode(
        {"a": plain, "b": [plain, [plain]]}
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "run"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "print"),
        ("functools", "partial"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy", "array"),
        ("numpy", "loads"),
        ("numpy", "memmap"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy.core.numeric", "fromfile"),
        ("workload.engine.canonical", "encode"),
        ("sklearn.linear_model", "SGDClassifier"),
        ("no_such_module", "anything"),
    ],
)
def test_a_global_outside_the_list_is_refused_by_name(
    module: str, name: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    called = f"c{module}\n{name}\n(Vtouch {trace}\ntR.".encode()
    by_stack = pickle.PROTO + b"\x04" + b"".join(map(_text, (module, name))) + pickle.STACK_GLOBAL
    for hostile in (called, by_stack + _text(f"touch {trace}") + b"\x85R."):
        with pytest.raises(ValueError, match=rf"not a checkpoint \(it needs {module}\.{name}\)"):
            decode(hostile)
    assert not trace.exists()


@pytest.mark.parametrize("path", ["ndarray.__class__", "dtype.__init_subclass__", "ndarray.tofile"])
def test_attributes_of_an_allowed_global_are_not_reached(path: str) -> None:
    hostile = pickle.PROTO + b"\x04" + _text("numpy") + _text(path) + pickle.STACK_GLOBAL + b"."
    with pytest.raises(ValueError, match="it needs numpy"):
        decode(hostile)


def test_refusal_is_one_line_whatever_a_checkpoint_names() -> None:
    hostile = (
        pickle.PROTO + b"\x04" + _text("numpy\n") + _text("x\r\n") + pickle.STACK_GLOBAL + b"."
    )
    with pytest.raises(ValueError, match="not a checkpoint") as caught:
        decode(hostile)
    assert str(caught.value).isprintable()


def test_every_truncation_is_refused() -> None:
    content = encode({"a": np.arange(3.0), "b": [1, "text", None], "c": {"d": 1.5}})
    for length in range(len(content)):
        with pytest.raises(ValueError, match="not a checkpoint"):
            decode(content[:length])


@pytest.mark.parametrize("value", [[1], "text", 1, None, np.arange(3)], ids=_kind)
def test_anything_but_a_dict_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no dict inside"):
        decode(pickle.dumps(value, protocol=5))


@pytest.mark.parametrize(
    "value",
    [
        np.array([None]),
        np.array(["text"]),
        np.zeros(1, [("field", "O")]),
        np.ndarray,
        (1, 2),
        {1, 2},
    ],
    ids=_kind,
)
def test_what_encode_would_not_write_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        decode(pickle.dumps({"outer": [{"inner": value}]}, protocol=5))


def test_bytes_are_never_taken_for_objects() -> None:
    class Dtype:
        def __reduce__(self) -> tuple[Any, ...]:
            fields = {"field": (np.dtype("O"), 0)}
            return np.dtype, ("V8",), (3, "|", None, ("field",), fields, 8, 8, 0)

    class Array:
        def __reduce__(self) -> tuple[Any, ...]:
            from_buffer = np._core.numeric._frombuffer  # type: ignore[attr-defined]
            return from_buffer, (b"pointer!", Dtype(), (1,), "C")

    hostile = pickle.dumps({"state": Array()})
    with pytest.raises(ValueError, match="not a checkpoint"):
        decode(hostile)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        decode(encode({"a": 1}) + b"more")


def _text(text: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def _sized(code: bytes, width: int, size: int) -> bytes:
    return code + size.to_bytes(width, "little")


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
HEAD = pickle.PROTO + b"\x05"
ARRAY = encode({"a": np.arange(3.0)})
SHAPE = b"K\x03\x85"  # of ARRAY, as a pickled tuple
_DOUBLED = b"".join(b"]\x94(h" + bytes([n]) + b"h" + bytes([n]) + b"e0" for n in range(40))

HOSTILE = {
    "bytes8": HEAD + _sized(pickle.BINBYTES8, 8, 1 << 44) + b"x.",
    "bytes4": HEAD + _sized(pickle.BINBYTES, 4, (1 << 32) - 1) + b".",
    "array": HEAD + _sized(pickle.BYTEARRAY8, 8, 1 << 44) + b".",
    "text": HEAD + _sized(pickle.BINUNICODE8, 8, 1 << 62) + b".",
    "number": HEAD + _sized(pickle.LONG4, 4, (1 << 31) - 1) + b".",
    "frame": HEAD + _sized(pickle.FRAME, 8, 1 << 44) + b"}(.",
    "memo": HEAD + b"]" + _sized(pickle.LONG_BINPUT, 4, (1 << 29) - 1) + b".",
    "doubled": HEAD + b"]" + pickle.MEMOIZE + b"0" + _DOUBLED + b"}X\x01\0\0\0ah(s.",
    "lists": HEAD + b"}\x8c\x01a" + b"]" * 20_000 + b"a" * 19_999 + b"s.",
    "dicts": HEAD + b"}\x8c\x01a" * 20_000 + b"N" + b"s" * 20_000 + b".",
    "tuples": HEAD + b"})" + b"\x85" * 200_000 + b"Ns.",
    "marks": HEAD + b"(" * 200_000 + b".",
    "a tuple as a name": HEAD + b")" + b"\x85" * 200_000 + b")\x93.",
    "shape": ARRAY.replace(SHAPE, _sized(b"J", 4, 1 << 30) + b"\x85"),
    "empty shape": encode({"a": np.zeros((0, 3))}).replace(
        b"K\0K\x03\x86", b"K\0" + _sized(b"\x8a\x07", 7, 1 << 50) + b"\x86"
    ),
    "negative shape": ARRAY.replace(SHAPE, b"J\xff\xff\xff\xff\x85"),
    "dtype": ARRAY.replace(b"\x8c\x02f8", b"\x8c\x07V999999"),
    "state of a function": HEAD + _text("numpy") + _text("dtype") + b"\x93}\x8c\x01aNsb.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_asks_for_more_than_it_holds_is_refused_at_once_and_takes_no_memory(
    content: bytes,
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not a checkpoint"):
            decode(content)
        assert tracemalloc.get_traced_memory()[1] < 1e6 + 100 * len(content)
    finally:
        tracemalloc.stop()


def assert_decoded_or_refused(content: bytes) -> None:
    try:
        value = decode(content)
    except ValueError as error:
        if str(error).startswith("not a checkpoint"):
            return
        raise
    assert same(decode(encode(value)), value)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_bytes_are_a_checkpoint_or_refused_and_never_anything_else(data: Any) -> None:
    content = bytearray(encode(data.draw(TREES)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        new = data.draw(st.binary(max_size=9) | st.sampled_from(OPCODES))
        content[start : start + length] = new
    assert_decoded_or_refused(bytes(content))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=9), max_size=30))
def test_any_program_of_opcodes_is_a_checkpoint_or_refused(program: list[bytes]) -> None:
    content = HEAD + b"".join(program) + pickle.STOP
    assert_decoded_or_refused(content)


@pytest.mark.parametrize("limit", ["MAX_DEPTH", "MAX_NODES"])
def test_what_is_too_deep_or_too_large_to_be_read_is_not_written(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree: Any = {"a": [[[1]], [[2]], np.arange(3)]}
    content = encode(tree)
    monkeypatch.setattr(f"workload.engine.canonical.{limit}", 2)
    with pytest.raises(TypeError, match="lists"):
        encode(tree)
    with pytest.raises(ValueError, match="lists"):
        decode(content)


@pytest.mark.parametrize("deep", [list, dict])
def test_the_deepest_tree_that_is_written_is_read(deep: type) -> None:
    tree: Any = 1
    for _ in range(MAX_DEPTH):
        tree = [tree, 1] if deep is list else {"a": tree, "b": 1}
    assert decode(encode({"a": tree})) == {"a": tree}

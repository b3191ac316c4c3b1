"""Hypothesis strategies for what comes from outside: bytes of files, addresses, Redis's answers."""

from __future__ import annotations

import bz2
import datetime as dt
import decimal
import gzip
import io
import lzma
import pickle
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = (".pkl", ".parquet", ".csv")
ROWS = 3

_NEEDED = (
    "TRANSACTION_ID",
    "TX_DATETIME",
    "CUSTOMER_ID",
    "TERMINAL_ID",
    "TX_AMOUNT",
    "TX_FRAUD_SCENARIO",
)


def day() -> pd.DataFrame:
    """Return a small day that is read."""
    return pd.DataFrame(
        {
            "TRANSACTION_ID": [1, 2, 3],
            "TX_DATETIME": pd.to_datetime(
                ["2018-04-01 00:00:31", "2018-04-01 09:30:00", "2018-04-01 23:59:59"]
            ),
            "CUSTOMER_ID": [596, 4961, 2],
            "TERMINAL_ID": [3156, 3412, 12_345_678_901],
            "TX_AMOUNT": [57.16, 81.51, 0.0],
            "TX_FRAUD_SCENARIO": [0, 0, 3],
        }
    )


def encoded(frame: pd.DataFrame, kind: str) -> bytes:
    """Return a file's bytes of one of `KINDS`."""
    sink = io.BytesIO()
    if kind == ".pkl":
        frame.to_pickle(sink)
    elif kind == ".parquet":
        frame.to_parquet(sink)
    else:
        frame.to_csv(sink, index=False)
    return sink.getvalue()


def compressed(content: bytes, compression: str) -> bytes:
    """Return bytes as they lie in a file with such an end of its name; "" leaves them alone."""
    match compression:
        case ".gz":
            return gzip.compress(content, mtime=0)
        case ".bz2":
            return bz2.compress(content)
        case ".xz":
            return lzma.compress(content)
        case ".zip":
            sink = io.BytesIO()
            with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo("day"), content)
            return sink.getvalue()
        case _:
            return content


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """Return noise, truncations, flipped bits, and pieces moved within valid bytes."""
    place = st.integers(0, len(valid) - 1)

    def flip(changes: list[tuple[int, int]]) -> bytes:
        changed = bytearray(valid)
        for at, value in changes:
            changed[at] ^= value
        return bytes(changed)

    def move(source: int, target: int, size: int) -> bytes:
        return valid[:target] + valid[source : source + size] + valid[target + size // 2 :]

    return st.one_of(
        st.binary(max_size=200),
        st.builds(lambda end: valid[:end], place),
        st.builds(flip, st.lists(st.tuples(place, st.integers(1, 255)), min_size=1, max_size=8)),
        st.builds(move, place, place, st.integers(0, 64)),
    )


_CELLS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.decimals(places=2, min_value=-1000, max_value=1000),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.just(uuid.UUID(int=7)),
    st.just([1, 2]),
    st.just({"a": 1}),
    st.sampled_from(["", "1.5", "1e400", "2018-04-01", "2018-04-01T09:30:00+02:00", "1,5", "nan"]),
)

_PLAIN: list[Any] = [
    np.arange(ROWS),
    np.arange(ROWS, dtype=np.uint8),
    np.array([2**63, 2**64 - 1, 0], dtype=np.uint64),
    np.array([-1, 0, 1]),
    np.array([0.0, np.nan, np.inf]),
    np.array([1, 2, 3], dtype=np.float16),
    np.array([1 + 2j, 0, 0]),
    np.array([True, False, True]),
    pd.date_range("2018-04-01", periods=ROWS, freq="h"),
    pd.date_range("2018-04-01", periods=ROWS, freq="h", tz="Asia/Kathmandu"),
    pd.date_range("2018-03-31 23:00", periods=ROWS, freq="h"),
    pd.date_range("2018-04-01", periods=ROWS, freq="h").as_unit("s"),
    pd.Series(["2018-04-01", None, "2018-04-01"], dtype="datetime64[ns]"),
    pd.period_range("2018-04-01", periods=ROWS, freq="h"),
    pd.interval_range(0, ROWS),
    pd.to_timedelta([1, 2, 3], unit="s"),
    pd.Categorical(["7", "8", "7"]),
    pd.Categorical([7, 8, 7]),
    pd.array([1, None, 3], dtype="Int64"),
    pd.array([1.5, None, 3], dtype="Float32"),
    pd.array(["1", "2", None], dtype="string"),
    pd.arrays.SparseArray([0, 0, 1]),
    [decimal.Decimal("1.50"), decimal.Decimal(2), decimal.Decimal("NaN")],
    [dt.datetime(2018, 4, 1, 1), dt.datetime(2018, 4, 1, 2), dt.datetime(2018, 4, 1, 3)],  # noqa: DTZ001
    np.arange(ROWS) + 1_522_540_800,
    np.arange(ROWS) + 1_522_540_800_000,
]

_COLUMNS = st.one_of(
    st.sampled_from(_PLAIN),
    st.lists(_CELLS, min_size=ROWS, max_size=ROWS).map(
        lambda cells: pd.Series(cells, dtype=object)
    ),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Return a day of which some columns have another type, another name or odd cells."""
    frame = day()
    for name in draw(st.lists(st.sampled_from(_NEEDED), max_size=2, unique=True)):
        frame[name] = draw(_COLUMNS)
    if draw(st.booleans()):
        frame[draw(st.text(max_size=5))] = draw(_COLUMNS)
    if draw(st.integers(0, 4)) == 0:
        frame = frame.rename(columns={draw(st.sampled_from(_NEEDED)): draw(st.text(max_size=5))})
    if draw(st.integers(0, 4)) == 0:
        frame.index = pd.Index(draw(st.lists(st.integers(), min_size=ROWS, max_size=ROWS)))
    return frame


@st.composite
def files(draw: st.DrawFn, compressions: tuple[str, ...]) -> tuple[str, bytes]:
    """Return the name and the bytes of a file that may be a day."""
    kind = draw(st.sampled_from(KINDS))
    frame = draw(frames()) if draw(st.booleans()) else day()
    try:
        content = encoded(frame, kind)
    except Exception:  # noqa: BLE001 - pyarrow writes no such frame, for one of many reasons
        content = encoded(day(), kind)
    if draw(st.booleans()):
        content = draw(damaged(content))
    compression = draw(st.sampled_from(compressions))
    content = compressed(content, compression)
    if compression and content and draw(st.booleans()):
        content = draw(damaged(content))
    suffix = kind + compression
    return f"2018-04-01{draw(st.sampled_from([suffix, suffix.upper()]))}", content


_LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.just([]),
    st.just({}),
    st.sampled_from(["../../x", "/etc/passwd", "a\nb", "2018-04-01", "2018-99-01"]),
    st.sampled_from(
        [
            np.zeros(0),
            np.full(764, np.nan),
            np.arange(5),
            np.zeros((5, 5), np.float16),
            np.zeros(()),
        ]
    ),
)


@st.composite
def trees(draw: st.DrawFn, valid: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's content with some values replaced, taken out or added."""

    def changed(tree: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
        name, *rest = path
        copy = dict(tree)
        if rest and isinstance(copy.get(name), dict):
            copy[name] = changed(copy[name], rest)
        elif draw(st.integers(0, 3)) == 0:
            copy.pop(name, None)
        else:
            copy[name] = draw(_LEAVES)
        return copy

    tree = dict(valid)
    for path in draw(st.lists(st.sampled_from(_paths(valid)), min_size=1, max_size=3)):
        tree = changed(tree, path)
    return tree


def _paths(tree: Mapping[str, Any]) -> list[list[str]]:
    found = []
    for name, value in tree.items():
        found.append([name])
        if isinstance(value, dict):
            found += [[name, *path] for path in _paths(value)]
    return found


@st.composite
def checkpoints(draw: st.DrawFn, valid: bytes, tree: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file that may be a checkpoint."""
    if draw(st.booleans()):
        return draw(damaged(valid))
    return pickle.dumps(draw(trees(tree)), protocol=5)


SECRET = "Xq7secretKv9"  # noqa: S105 - nobody's
"""Part of each address's password."""

_OPTIONS = (
    *("", "?db=1", "?db=x", "?timeout=1", "?ssl_cert_reqs=none", "?a"),
    f"?sentinel_username={SECRET}&sentinel_password=a&{SECRET}=b",
)

_PARTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x250), max_size=6)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Return what may be an address of Redis, with `SECRET` where a password may stand."""
    scheme = draw(
        st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "http", "", "REDIS"])
    )
    service = draw(st.sampled_from(["", "", "service/", "a/b/"]))
    before, after = draw(_PARTS), draw(_PARTS)
    user, host = draw(_PARTS), draw(st.sampled_from(["host", "h1:1,h2", "[::1]", "[", "", "a:b"]))
    port, database = draw(st.sampled_from(["", ":6379", ":x", ":99999"])), draw(_PARTS)
    option = draw(st.sampled_from(_OPTIONS))
    return f"{scheme}://{user}:{before}{SECRET}{after}@{host}{port}/{service}{database}{option}"


_CODES = st.sampled_from(
    [
        "ERR",
        "OOM",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "UNBLOCKED",
        "READONLY",
        "LOADING",
        "BUSY",
        "MISCONF",
        "WRONGTYPE",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "NOSCRIPT",
        "NOREPLICAS",
        "EXECABORT",
        "NOPROTO",
        "XYZ",
    ]
)
_WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


def _many(kind: str, parts: list[bytes]) -> bytes:
    count = len(parts) // 2 if kind == "%" else len(parts)
    return f"{kind}{count}\r\n".encode() + b"".join(parts[: 2 * count if kind == "%" else count])


_VALUES: st.SearchStrategy[bytes] = st.recursive(
    st.one_of(
        st.builds(lambda words: f"+{words}\r\n".encode(), _WORDS),
        st.builds(lambda words: f"${len(words)}\r\n{words}\r\n".encode(), _WORDS),
        st.builds(lambda words: f"={len(words) + 4}\r\ntxt:{words}\r\n".encode(), _WORDS),
        st.builds(lambda number: f":{number}\r\n".encode(), st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda number: f",{number}\r\n".encode(), st.floats()),
        st.sampled_from(
            [b"_\r\n", b"#t\r\n", b"$-1\r\n", b"*-1\r\n", b"(12345678901234567890\r\n"]
        ),
        st.sampled_from([b"+committed\r\n", b"+claimed\r\n", b"$4\r\nwait\r\n", b"+halted\r\n"]),
    ),
    lambda parts: st.builds(_many, st.sampled_from("*~%>"), st.lists(parts, max_size=7)),
    max_leaves=10,
)
"""Replies of any shape that the protocol has, and some words that the scripts answer with."""

REPLIES: st.SearchStrategy[bytes] = st.one_of(
    _VALUES,
    st.builds(lambda code, words: f"-{code} {words}\r\n".encode(), _CODES, _WORDS),
    st.builds(lambda words: f"-{words}\r\n".encode(), _WORDS),
    st.sampled_from(
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"-MOVED 3999 127.0.0.1:6381\r\n",
            b"-MOVED\r\n",
            b"-ASK\r\n",
            b"SSH-2.0-x\r\n",
            b"*9\r\n$3\r\nab",
            b"\0",
        ]
    ),
)
"""What a server may send instead of an answer: errors, other shapes, and what is no Redis's."""

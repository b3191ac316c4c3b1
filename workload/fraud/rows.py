"""How many rows a file has at least, before it is decoded."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from workload.readers.table import MAX_ROWS
from workload.share.compression import MAX_BYTES, MAX_EXPANSION

if TYPE_CHECKING:
    from pathlib import Path

_SAMPLE = 1 << 16
_LONGER = 1.25
"""How much longer than those of the beginning a csv's lines are taken to be: ids grow."""


def rows_at_least(path: Path) -> int:
    """Return a number that a readable file's rows hardly fall below; 0 when that is not known.

    A parquet tells it, a csv's follows from its first lines and its size, a csv.gz's from the size
    that its end claims. A pickle does not tell before it is decoded.

    Raises:
        OSError: the file cannot be read.
    """
    if path.suffix == ".parquet":
        rows = _parquet(path)
    elif path.suffix == ".csv":
        with path.open("rb") as file:
            rows = _lines(file.read(_SAMPLE), path.stat().st_size)
    elif path.name.endswith(".csv.gz"):
        rows = _csv_gz(path)
    else:
        return 0
    return rows if rows <= MAX_ROWS else 0  # it will be refused, which takes no memory


def _parquet(path: Path) -> int:
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowException:
        return 0  # reading it says what is wrong


def _csv_gz(path: Path) -> int:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        file.seek(max(0, size - 4), os.SEEK_SET)
        claimed = int.from_bytes(file.read(4), "little")
    try:
        sample = zlib.decompressobj(wbits=31).decompress(start, _SAMPLE)
    except zlib.error:
        return 0
    return _lines(sample, min(claimed, MAX_BYTES, MAX_EXPANSION * size))


def _lines(sample: bytes, size: int) -> int:
    lines = sample.count(b"\n")
    return int(size * lines / (_LONGER * len(sample))) if lines > 1 else 0

"""Columns of csv files, and what is wrong with a header."""

from __future__ import annotations

import csv
import functools
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from workload.errors import DatasetRefused
from workload.readers import arrow
from workload.readers.table import MAX_ROWS, Kind, Table, check_rows
from workload.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAX_HEADER = 1 << 20
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*([^\r\n]*)")
_OTHER = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "parquet",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x80": "a pickle",
}
"""What files begin with that are called csv and are something else."""


def read_csv(content: bytes, needed: Sequence[str]) -> Table:
    """Return a table of the needed columns; all are decoded when the first is asked for.

    Raises:
        DatasetRefused: it is something else, has another delimiter or encoding, or too many rows.
    """
    header = _header(content)
    names = next(csv.reader([header]), [])
    if not set(needed) & set(names):
        _check_delimiter(header, needed)
    # Lines are counted before they take memory.
    lines = max(content.count(b"\n"), content.count(b"\r"))
    rows = lines - content.endswith((b"\n", b"\r"))
    if rows > MAX_ROWS:
        check_rows(rows)

    @functools.cache
    def table() -> pa.Table:
        # One block, so that the whole column decides its type and not its first lines.
        options = pacsv.ReadOptions(use_threads=False, block_size=len(content) + 1)
        wanted = [name for name in names if name in needed]
        convert = pacsv.ConvertOptions(include_columns=wanted)
        read = pacsv.read_csv(
            pa.BufferReader(content), read_options=options, convert_options=convert
        )
        check_rows(read.num_rows)
        return read

    def column(name: str, kind: Kind) -> NDArray[Any]:
        values = table().column(name)
        if not arrow.is_text(values.type) or kind is not Kind.MOMENTS:
            arrow.check_values(name, kind, values)
        return arrow.decoded(name, kind, values)

    return Table(names, column)


def _header(content: bytes) -> str:
    for begin, what in _OTHER.items():
        if content.startswith(begin):
            raise DatasetRefused(f"is {what}; allowed is csv in UTF-8")
    match = _HEADER.match(content[:_MAX_HEADER])
    line = match[1] if match else b""
    if b"\0" in line:
        raise DatasetRefused("is UTF-16 text or no text; allowed is csv in UTF-8")
    if len(line) >= _MAX_HEADER - 8:
        raise DatasetRefused(f"has a first line of more than {_MAX_HEADER} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise DatasetRefused(
            f"has the header {shown(line)}, which is not UTF-8; allowed is csv in UTF-8"
        ) from None


def _check_delimiter(header: str, needed: Sequence[str]) -> None:
    for delimiter in ";\t|":
        parts = {part.strip(' "').upper() for part in header.split(delimiter)}
        if parts & set(needed):
            raise DatasetRefused(f"separates its columns by {delimiter!r}; allowed is ','")

"""Columns of parquet files: refused by schema and footer before any is read, then read in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workload.errors import DatasetRefused
from workload.readers import arrow
from workload.readers.table import Kind, Table, check_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 1 << 31
"""Most bytes that a file may expand to."""
MAX_EXPANSION = 100
"""Most times its own size that a file may expand to; real ones reach about 10."""
_SLACK = 1 << 24
"""Bytes that a small file may expand to besides."""
_BATCH = 1 << 20
"""Rows that are decoded at a time."""


def read_parquet(content: bytes) -> Table:
    """Return a table whose columns are decoded when asked for.

    Raises:
        DatasetRefused: it has no rows, or too many, or expands too far.
        Exception: pyarrow's, of no closed set, for damaged bytes.
    """
    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    _check_footer(file.metadata, len(content))
    schema = file.schema_arrow

    def column(name: str, kind: Kind) -> NDArray[Any]:
        found = schema.field(schema.get_field_index(name)).type
        arrow.check_type(name, kind, found)
        if not arrow.is_text(found):
            return arrow.decoded(name, kind, _values(file, name))
        # As a dictionary, text takes no more memory than the pages that hold it.
        reader = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False, read_dictionary=[name])
        try:
            values = _values(reader, name)
        except OSError as error:
            if "DeltaByteArray" not in str(error):
                raise
            raise DatasetRefused(
                f"column {name} is text in the encoding DELTA_BYTE_ARRAY, which is not read; "
                "write it as timestamps"
            ) from None
        return arrow.decoded(name, kind, values)

    return Table(schema.names, column)


def _check_footer(metadata: pq.FileMetaData, size: int) -> None:
    # Of columns nothing is asked: pyarrow aborts the process when their metadata is damaged.
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    check_rows(max(metadata.num_rows, sum(group.num_rows for group in groups)))
    expanded = sum(max(0, group.total_byte_size) for group in groups)
    limit = min(MAX_BYTES, MAX_EXPANSION * size + _SLACK)
    if expanded > limit:
        raise DatasetRefused(
            f"expands to {expanded} bytes; allowed are {MAX_EXPANSION} times its size and 16 MiB, "
            f"and {MAX_BYTES} bytes"
        )


def _values(file: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    """Decode a column, but no more rows of it than the file says it has."""
    chunks: list[pa.Array] = []
    rows = 0
    for batch in file.iter_batches(_BATCH, columns=[name], use_threads=False):
        rows += batch.num_rows
        if rows > file.metadata.num_rows:
            raise DatasetRefused(
                f"column {name} has more rows than the {file.metadata.num_rows} the file names"
            )
        chunks.append(batch.column(0))
    return pa.chunked_array(chunks)

"""Tables in files: names and columns of a pickled data frame, of parquet and of csv.

Whatever is wrong with the bytes is one `DatasetRefused` that names the column, the row (counted
from 0) and what is allowed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.errors import DatasetRefused
from workload.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

MAX_ROWS = 20_000_000
"""Most rows of a day; a few bytes of parquet can claim billions."""


class Kind(StrEnum):
    """What a column is to hold, in the words of an error."""

    INTEGERS = "integers"
    NUMBERS = "numbers"
    MOMENTS = "dates with time such as 2018-04-01 09:30:00, or nanoseconds since 1970"


@dataclass(frozen=True, slots=True)
class Table:
    """What the formats have in common.

    Attributes:
        names: of the columns.
        column: decodes the column of a name, which is to be of a kind; shape (rows,).
    """

    names: Sequence[str]
    column: Callable[[str, Kind], NDArray[Any]]


def read_table(content: bytes, suffix: str) -> Table:
    """Decode the bytes of a file.

    Args:
        content: the bytes.
        suffix: `.pkl`, `.parquet` or `.csv`.

    Raises:
        DatasetRefused: the bytes rule the file out.
        MemoryError: there is not enough memory for it now.
        Exception: pyarrow's, of no closed set, for damaged bytes.
    """
    return _DECODERS[suffix](content)


def check_rows(rows: int) -> None:
    """Refuse a table without rows, or with too many.

    Raises:
        DatasetRefused: it has none, or more than `MAX_ROWS`.
    """
    if rows == 0:
        raise DatasetRefused("has no rows; at least one is needed")
    if rows > MAX_ROWS:
        raise DatasetRefused(f"has {rows} rows; at most {MAX_ROWS} are read")


def wrong_type(name: str, kind: Kind, found: str) -> DatasetRefused:
    """Return the refusal of a column whose type is not of its kind."""
    return DatasetRefused(f"column {name} is of type {found}; allowed are {kind}")


def _from_pickle(content: bytes) -> Table:
    from pickle import UnpicklingError  # noqa: PLC0415 - only this format needs it

    from workload.readers.pickled_frame import load_frame  # noqa: PLC0415

    try:
        frame = load_frame(content)
    except UnpicklingError as error:
        raise DatasetRefused(str(error)) from error

    def column(name: str, _kind: Kind) -> NDArray[Any]:
        try:
            return frame.column(name)
        except UnpicklingError as error:
            raise DatasetRefused(f"column {name} {error}") from error

    return Table(frame.names, column)


def _from_parquet(content: bytes) -> Table:
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    check_rows(file.metadata.num_rows)
    needed = file.schema_arrow
    return Table(
        needed.names,
        lambda name, kind: _from_arrow(
            name, kind, file.read([name], use_threads=False).column(name)
        ),
    )


def _from_csv(content: bytes) -> Table:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    # One block, so that the whole column decides its type and not its first lines.
    options = csv.ReadOptions(use_threads=False, block_size=len(content) + 1)
    table = csv.read_csv(pa.BufferReader(content), read_options=options)
    check_rows(table.num_rows)
    return Table(table.column_names, lambda name, kind: _from_arrow(name, kind, table.column(name)))


_DECODERS: dict[str, Callable[[bytes], Table]] = {
    ".pkl": _from_pickle,
    ".parquet": _from_parquet,
    ".csv": _from_csv,
}


def _from_arrow(name: str, allowed: Kind, values: pa.ChunkedArray) -> NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415

    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (is_number or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        if pa.types.is_null(kind):
            raise DatasetRefused(f"column {name} has no values")
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if is_text and (row := _first_text(allowed, values.to_pylist())) is not None:
            raise DatasetRefused(
                f"column {name}, row {row}: {shown(values[row].as_py())} is not allowed; "
                f"allowed are {allowed}"
            )
        raise wrong_type(name, allowed, str(kind))
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy())[0])
        raise DatasetRefused(f"column {name}, row {row}: the value is missing")
    array: NDArray[Any] = values.to_numpy()
    return array


def _first_text(allowed: Kind, values: list[str | None]) -> int | None:
    """Return the row that made a column of a csv file one of strings."""
    for row, value in enumerate(values):
        try:
            if value is not None:
                dt.datetime.fromisoformat(value) if allowed is Kind.MOMENTS else float(value)
        except ValueError:
            return row
    return None

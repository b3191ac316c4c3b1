"""Tables in files: a pickled data frame, parquet and csv.

Whatever is wrong with the bytes is one `DatasetRefused` that names the column, the row (counted
from 0) and what is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workload.errors import DatasetRefused
from workload.readers.table import Kind, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def read_table(content: bytes, suffix: str, needed: Sequence[str]) -> Table:
    """Decode the bytes of a file.

    Args:
        content: the bytes.
        suffix: `.pkl`, `.parquet` or `.csv`.
        needed: the names that columns will be asked for by; what others hold decides nothing.

    Raises:
        DatasetRefused: the bytes rule the file out.
        MemoryError: there is not enough memory for it now.
        Exception: pyarrow's, of no closed set, for damaged bytes.
    """
    return _DECODERS[suffix](content, needed)


def _from_pickle(content: bytes, _needed: Sequence[str]) -> Table:
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


def _from_parquet(content: bytes, _needed: Sequence[str]) -> Table:
    from workload.readers.parquet import read_parquet  # noqa: PLC0415 - 0.1 s to import pyarrow

    return read_parquet(content)


def _from_csv(content: bytes, needed: Sequence[str]) -> Table:
    from workload.readers.delimited import read_csv  # noqa: PLC0415

    return read_csv(content, needed)


_DECODERS: dict[str, Callable[[bytes, Sequence[str]], Table]] = {
    ".pkl": _from_pickle,
    ".parquet": _from_parquet,
    ".csv": _from_csv,
}

"""Files of the queue, whatever is in them: their names, their dates, their bytes.

The name of a training dataset is its date, which gives it its place in the chain.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from workload.errors import DatasetRefused
from workload.share.compression import COMPRESSIONS, expand
from workload.share.durable import sha256

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {".pkl": ".pkl", ".pickle": ".pkl", ".parquet": ".parquet", ".csv": ".csv"}
"""Ends of the names of dataset files, in small or capital letters, with the kind that they tell."""

SUFFIXES = tuple(kind + end for end in ("", *COMPRESSIONS) for kind in KINDS)
"""The same, compressed or not."""

ALLOWED = f"{', '.join(KINDS)}, plain or compressed ({', '.join(COMPRESSIONS)})"
"""The same, for people."""

MAX_BYTES = 1 << 30
"""Largest file that is read: 1 GiB, some 15 million transactions."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file as it was read: once, so that its hash and its rows come from the same bytes.

    Attributes:
        name: without directory.
        date: the day that its name promises; None for a file without a date, for testing.
        content: its bytes, at least one, with their compression undone.
        sha256: hex digest of the file as it lies there.
    """

    name: str
    date: dt.date | None
    content: bytes = field(repr=False)
    sha256: str

    @property
    def suffix(self) -> str:
        """The kind of the content: `.pkl`, `.parquet` or `.csv`."""
        return KINDS[_ends(self.name)[0]]


def read_file(path: Path, date: dt.date | None = None) -> DatasetFile:
    """Read a dataset's bytes.

    Args:
        path: a file whose name ends in one of `SUFFIXES`.
        date: the day that its name promises, if any.

    Raises:
        DatasetRefused: the file is empty, too large, badly compressed, or of another kind.
        OSError: the file cannot be read.
        MemoryError: there is not enough memory for it now.
    """
    _, compression = _ends(path.name)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise DatasetRefused(f"has {size} bytes; at most {MAX_BYTES} are read")
        content = file.read()
    if not content:
        raise DatasetRefused("is empty")
    digest = sha256(content)
    if compression:
        content = expand(content, compression)
        if not content:
            raise DatasetRefused("is empty")
    return DatasetFile(path.name, date, content, digest)


def dataset_stem(name: str) -> str:
    """Return the name without directory and suffix: "training/2018-04-01.csv.gz" is "2018-04-01".

    Raises:
        DatasetRefused: the suffix is none of `SUFFIXES`.
    """
    base = PurePath(name).name
    return base[: -len("".join(_ends(base)))]


def name_date(path: str | PurePath) -> dt.date:
    """Return the date a day file's name promises.

    Raises:
        DatasetRefused: the name is not a date written YYYY-MM-DD and one of `SUFFIXES`.
    """
    stem = dataset_stem(str(path))
    try:
        date = dt.date.fromisoformat(stem)
    except ValueError:
        date = None
    if date is None or date.isoformat() != stem:  # 20180401 and 2018-W13-7 are ISO dates too
        raise DatasetRefused(f"the name {stem!r} is not a date; allowed are names like 2018-04-01")
    return date


def _ends(name: str) -> tuple[str, str]:
    """Return the one of `KINDS` and the one of `COMPRESSIONS`, or "", that a name ends in.

    Raises:
        DatasetRefused: it ends in none of `SUFFIXES`.
    """
    small = name.lower()
    compression = next((end for end in COMPRESSIONS if small.endswith(end)), "")
    for kind in KINDS:
        if small.endswith(kind + compression):
            return kind, compression
    raise DatasetRefused(f"the name {name!r} ends in none of {ALLOWED}")

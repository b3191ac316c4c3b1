"""The day files of a directory, in the order of their dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.errors import DatasetRefused, UsageError
from workload.share.dataset_file import name_date
from workload.share.store import SUFFIXES

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path


def day_files(directory: Path) -> dict[dt.date, Path]:
    """Return the files named YYYY-MM-DD of a directory by date, in order.

    Args:
        directory: holds the files itself, or in `training/` or `datasets/training/`, as written by
            `workload simulate` and `workload run`. Files with other names are left out.

    Raises:
        UsageError: the directory is not there, or has no day or two files for one day.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    below = (directory / "training", directory / "datasets" / "training")
    folder = next((folder for folder in below if folder.is_dir()), directory)
    found: dict[dt.date, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.endswith(SUFFIXES):
            continue
        try:
            date = name_date(path.name)
        except DatasetRefused:
            continue
        if date in found:
            raise UsageError(f"{folder}: {found[date].name} and {path.name} are of one day")
        found[date] = path
    if not found:
        raise UsageError(
            f"{folder}: no day files; needed are names like 2018-04-01 with {', '.join(SUFFIXES)}"
        )
    return dict(sorted(found.items()))

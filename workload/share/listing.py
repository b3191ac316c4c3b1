"""Which files of a directory are datasets: one rule for all who look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.errors import DatasetRefused, UsageError
from workload.share.dataset_file import SUFFIXES, name_date
from workload.share.store import TESTING, TRAINING

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path


def is_dataset(name: str) -> bool:
    """Return whether a file of this name is taken for a dataset: by its suffix, and not hidden."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def datasets_in(folder: Path) -> list[Path]:
    """Return what has a dataset's name in a folder, by name; nothing when there is no folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if is_dataset(path.name)]


def dataset_files(source: Path) -> list[Path]:
    """Return the datasets in `testing`, then those in `training`, of a directory.

    What the chain is tested on comes first: it must be there when the chain begins.

    Raises:
        UsageError: there are none to train on.
    """
    testing, training = (
        [path for path in datasets_in(source / part) if path.is_file()]
        for part in ("testing", "training")
    )
    if not training:
        raise UsageError(
            f"{source}: no datasets; expected {source / 'training'}/YYYY-MM-DD with "
            f"{', '.join(SUFFIXES)}"
        )
    return [*testing, *training]


def training_datasets(root: Path) -> list[str]:
    """Return the queue items of a share for the files in `datasets/training`, by name."""
    return [f"{TRAINING}/{path.name}" for path in datasets_in(root / TRAINING)]


def testing_dataset(root: Path) -> Path | None:
    """Return the first of a share's `datasets/testing/test_dataset.*`, by suffix; None without."""
    paths = [root / TESTING / f"test_dataset{suffix}" for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


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
    below = (directory / "training", directory / TRAINING)
    folder = next((folder for folder in below if folder.is_dir()), directory)
    found: dict[dt.date, Path] = {}
    for path in datasets_in(folder):
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

"""Which files of a directory are datasets: one rule for all who look, and what they leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.errors import DatasetRefused, UsageError
from workload.share.dataset_file import ALLOWED, SUFFIXES, dataset_stem, name_date
from workload.share.store import TESTING, TRAINING
from workload.text import plural, printable

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

TESTING_STEM = "test_dataset"
"""Name, without its end, of the dataset that the chain is tested on."""

_NAMED = 5
"""Most files that one line names."""


def is_dataset(name: str) -> bool:
    """Return whether a file of this name is taken for a dataset: by its suffix, and not hidden."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def datasets_in(folder: Path) -> list[Path]:
    """Return what has a dataset's name in a folder, by name; nothing when there is no folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if is_dataset(path.name)]


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the datasets in a folder by their names without format; the first of each."""
    found: dict[str, Path] = {}
    for path in datasets_in(folder):
        found.setdefault(dataset_stem(path.name), path)
    return found


def dataset_files(source: Path) -> list[Path]:
    """Return the datasets in `testing`, then those in `training`, of a directory.

    What the chain is tested on comes first: it must be there when the chain begins.

    Raises:
        UsageError: there are none to train on, or two differ only in their format.
    """
    testing, training = (
        [path for path in datasets_in(source / part) if path.is_file()]
        for part in ("testing", "training")
    )
    if not training:
        raise UsageError(
            f"{source}: no datasets; expected {source / 'training'}/YYYY-MM-DD with {ALLOWED}"
        )
    for paths in (testing, training):
        first = by_stem(paths[0].parent) if paths else {}
        for path in paths:
            other = first[dataset_stem(path.name)]
            if other != path:
                raise UsageError(
                    f"{path.parent}: {other.name} and {path.name} are of one day; keep one of them"
                )
    return [*testing, *training]


def training_datasets(root: Path) -> list[str]:
    """Return the queue items of a share for the files in `datasets/training`, by name."""
    return [f"{TRAINING}/{path.name}" for path in datasets_in(root / TRAINING)]


def testing_dataset(root: Path) -> Path | None:
    """Return the first of a share's `datasets/testing/test_dataset.*`, by suffix; None without."""
    return _testing_file(root / TESTING)


def _testing_file(folder: Path) -> Path | None:
    paths = [path for path in datasets_in(folder) if dataset_stem(path.name) == TESTING_STEM]
    paths.sort(key=lambda path: SUFFIXES.index(path.name.lower().removeprefix(TESTING_STEM)))
    return next((path for path in paths if path.is_file()), None)


def left_out(directory: Path) -> list[str]:
    """Return a line for each folder of datasets that holds something which is not taken for one.

    Args:
        directory: with `training` and `testing`: a share's `datasets`, or a source of them.
    """
    training, testing = directory / "training", directory / "testing"
    return [
        *_left_out(
            training, {path for path in datasets_in(training) if path.is_file()}, "YYYY-MM-DD"
        ),
        *_left_out(testing, {_testing_file(testing)}, TESTING_STEM),
    ]


def day_files(directory: Path) -> dict[dt.date, Path]:
    """Return the files named YYYY-MM-DD of a directory by date, in order.

    Args:
        directory: holds the files itself, or in `training/` or `datasets/training/`, as written by
            `workload simulate` and `workload run`. `beside_days` names what is left out.

    Raises:
        UsageError: the directory is not there, or has no day or two files for one day.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    folder = _day_folder(directory)
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
        raise UsageError(f"{folder}: no day files; needed are names like 2018-04-01 with {ALLOWED}")
    return dict(sorted(found.items()))


def beside_days(directory: Path) -> list[str]:
    """Return a line, if any, for what `day_files` leaves out."""
    return _left_out(_day_folder(directory), {*day_files(directory).values()}, "YYYY-MM-DD")


def _day_folder(directory: Path) -> Path:
    below = (directory / "training", directory / TRAINING)
    return next((folder for folder in below if folder.is_dir()), directory)


def _left_out(folder: Path, taken: set[Path] | set[Path | None], stem: str) -> list[str]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [path.name for path in paths if path not in taken and not path.name.startswith(".")]
    if not names:
        return []
    named = ", ".join(map(printable, names[:_NAMED]))
    more = f" and {plural(len(names) - _NAMED, 'other')}" if len(names) > _NAMED else ""
    return [f"{folder}: not taken: {named}{more}; taken are {stem} with {ALLOWED}"]

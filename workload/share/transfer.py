"""Copies a directory of datasets to the share, as the tutorial's transfer script does."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workload.errors import UsageError
from workload.share.dataset_file import SUFFIXES
from workload.share.durable import replacing, sha256, writing
from workload.share.listing import dataset_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Transferred:
    """Names below `datasets/`: copied now, and there already with the same content."""

    copied: list[str]
    present: list[str]


def transfer(
    source: Path, root: Path, on_file: Callable[[str], None] = lambda _: None
) -> Transferred:
    """Copy `source/training` and `source/testing` below `root/datasets`.

    A file appears under its name only when it is whole and its content was read back equal; one
    that is there with the same content is left alone, so that a broken transfer can be repeated.

    Raises:
        UsageError: `source` has no `training` directory with datasets, or a file of the share
            has the same name and another content.
        ShareUnusable: the share is full or can't be written.
    """
    found = dataset_files(source)
    done = Transferred([], [])
    for path in found:
        name = f"{path.parent.name}/{path.name}"
        target = root / "datasets" / name
        on_file(name)
        with _reading(path):
            digest = sha256(path)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if is_there(target, digest, str(path)):
                done.present.append(name)
            else:
                _copy(path, digest, target)
                done.copied.append(name)
    return done


def is_there(target: Path, digest: str, what: str) -> bool:
    """Return whether a dataset is on the share already.

    Args:
        target: its place there.
        digest: its SHA-256, in hex.
        what: its name, for the user.

    Raises:
        UsageError: the share has another dataset of that name or day.
    """
    other = _same_name(target)
    if other:
        raise UsageError(
            f"{other}: is of the same day as {what}; one file a day, use another share"
        )
    if not target.exists():
        return False
    if sha256(target) != digest:
        raise UsageError(
            f"{target}: differs from {what}; a dataset that may have been learned is not replaced, "
            "use another share or another name"
        )
    return True


def _same_name(target: Path) -> Path | None:
    """Return a dataset beside `target` that differs from it only in its format."""
    stem = target.name.split(".", 1)[0]
    beside = (target.with_name(stem + suffix) for suffix in SUFFIXES)
    return next((path for path in beside if path != target and path.exists()), None)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell a source that can't be read from a share that can't."""
    try:
        yield
    except OSError as error:
        if error.filename != str(path):
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"{path}: can't be read ({reason})") from error


def _copy(path: Path, digest: str, target: Path) -> None:
    with replacing(target) as temporary:
        with _reading(path):
            shutil.copyfile(path, temporary)
        if sha256(temporary) != digest:
            raise UsageError(f"{target}: the copy differs from {path}; is it being written?")

"""Copies a directory of datasets to the share, as the tutorial's transfer script does."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workload.errors import UsageError
from workload.share.dataset_file import dataset_stem
from workload.share.durable import FULL, replacing, sha256, writing
from workload.share.listing import by_stem, dataset_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
    found = [
        (path, root / "datasets" / path.parent.name / path.name) for path in dataset_files(source)
    ]
    require_one_format({target: str(path) for path, target in found})
    done = Transferred([], [])
    for path, target in found:
        name = f"{path.parent.name}/{path.name}"
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
        UsageError: the share has another dataset of that name.
    """
    if not target.exists():
        return False
    if sha256(target) != digest:
        kept = (
            "a chain is tested on the file that it began with, so leave this one out to go on"
            if target.parent.name == "testing"
            else "a dataset that may have been learned is not replaced"
        )
        raise UsageError(f"{target}: differs from {what}; {kept}, or use another share")
    return True


def require_one_format(targets: Mapping[Path, str]) -> None:
    """Check that no dataset would lie on the share in two formats.

    Args:
        targets: places of datasets on the share, with what is to be put there, for the user.

    Raises:
        UsageError: there is one of the same day, or two among `targets`.
    """
    for folder in {target.parent for target in targets}:
        there = by_stem(folder)
        for target, what in targets.items():
            if target.parent == folder:
                other = there.setdefault(dataset_stem(target.name), target)
                if other != target:
                    raise UsageError(
                        f"{other}: is of the same day as {what}; one file a day, use another share"
                    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell a source that can't be read from a share that can't."""
    try:
        yield
    except OSError as error:
        if error.filename != str(path) or error.errno in FULL:  # `copyfile` names the source only
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"{path}: can't be read ({reason})") from error


def _copy(path: Path, digest: str, target: Path) -> None:
    with replacing(target) as temporary:
        with _reading(path):
            shutil.copyfile(path, temporary)
        if sha256(temporary) != digest:
            raise UsageError(f"{target}: the copy differs from {path}; is it being written?")

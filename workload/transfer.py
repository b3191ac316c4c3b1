"""Copies a directory of datasets to the share, as the tutorial's transfer script does."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workload.datasets import SUFFIXES
from workload.errors import UsageError
from workload.share import sync, writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARTS = ("testing", "training")  # what the chain is tested on must be there when it begins


@dataclass(frozen=True, slots=True)
class Transferred:
    """Names below ``datasets/``: copied now, and there already with the same content."""

    copied: list[str]
    present: list[str]


def transfer(
    source: Path, root: Path, on_file: Callable[[str], None] = lambda _: None
) -> Transferred:
    """Copies ``source/training`` and ``source/testing`` below ``root/datasets``.

    A file appears under its name only when it is whole and its content was read back equal; one
    that is there with the same content is left alone, so that a broken transfer can be repeated.

    Raises:
        UsageError: ``source`` has no ``training`` directory with datasets, or a file of the share
            has the same name and another content.
        ShareUnusable: the share is full or can't be written.
    """
    found = [
        path
        for part in PARTS
        for path in sorted((source / part).glob("*"))
        if path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()
    ]
    if not any(path.parent.name == "training" for path in found):
        raise UsageError(
            f"{source}: no datasets; expected {source / 'training'}/YYYY-MM-DD with "
            f"{', '.join(SUFFIXES)}"
        )
    done = Transferred([], [])
    for path in found:
        name = f"{path.parent.name}/{path.name}"
        target = root / "datasets" / name
        on_file(name)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            other = _same_name(target)
            if other:
                raise UsageError(
                    f"{other}: is of the same day as {path}; one file a day, use another share"
                )
            if target.exists():
                _must_equal(path, target)
                done.present.append(name)
            else:
                _copy(path, target)
                done.copied.append(name)
    return done


def _same_name(target: Path) -> Path | None:
    """A dataset beside ``target`` that differs from it only in its format."""
    stem = target.name.split(".", 1)[0]
    beside = (target.with_name(stem + suffix) for suffix in SUFFIXES)
    return next((path for path in beside if path != target and path.exists()), None)


def _must_equal(path: Path, target: Path) -> None:
    if _sha256(path) != _sha256(target):
        raise UsageError(
            f"{target}: differs from {path}; a dataset that may have been learned is not replaced, "
            "use another share or another name"
        )


def _copy(path: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            shutil.copyfile(path, temporary)
        except OSError as error:
            if error.filename != str(path):
                raise
            reason = os.strerror(error.errno or 0).lower()
            raise UsageError(f"{path}: can't be read ({reason})") from error
        sync(temporary)
        if _sha256(temporary) != _sha256(path):
            raise UsageError(f"{target}: the copy differs from {path}; is it being written?")
        temporary.replace(target)
        sync(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

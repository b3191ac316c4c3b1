"""Files between an operator's machine and the share, through a pipe that may break at any byte.

What arrives is appended to a hidden file that carries the hash of the whole in its name, so that
the rest can be sent later. The file gets its own name when it is whole and has that hash.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from workload.errors import UsageError, WorkloadError
from workload.share import OUTPUT, TESTING, TRAINING, sync, writing
from workload.transfer import is_dataset, is_there, sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

CHUNK = 1 << 20
"""Bytes that are read and written at a time."""

_FOLDERS = {"datasets": (TRAINING, TESTING), OUTPUT: (OUTPUT,)}


class Interrupted(WorkloadError):
    """The pipe ended before the file did; what came is kept."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file on the share: path below it, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def list_files(root: Path, area: str) -> list[SharedFile]:
    """The files that can be sent or received, without hidden ones.

    Args:
        root: of the share.
        area: ``datasets`` or ``output``.
    """
    found = []
    for folder in _FOLDERS[area]:
        directory = root / folder
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            if path.name.startswith(".") or (area != OUTPUT and not is_dataset(path.name)):
                continue
            with suppress(FileNotFoundError):  # replaced by its writer a moment ago
                mode = path.lstat()
                if stat.S_ISREG(mode.st_mode):
                    found.append(SharedFile(f"{folder}/{path.name}", mode.st_size, sha256(path)))
    return found


def receive(
    root: Path,
    name: str,
    size: int,
    digest: str,
    stream: BinaryIO,
    on_offset: Callable[[int], None] = lambda _: None,
) -> None:
    """Takes a dataset from a stream, from where an earlier attempt broke off.

    Args:
        root: of the share.
        name: path of the dataset below it.
        size: bytes of the whole file.
        digest: SHA-256 of the whole file, in hex.
        stream: the file from the offset on.
        on_offset: told at which byte the stream must start; ``size`` when nothing is missing.

    Raises:
        UsageError: the path leads elsewhere, or the share has another dataset of that name or day.
        Interrupted: the stream ended early.
        WorkloadError: what came is not the file that was promised; it is thrown away.
        ShareUnusable: the share is full or can't be written.
    """
    target = _inside(root, name, "datasets")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _confined(root, target)
        if not is_there(target, digest, "the file to copy"):
            _complete(target, size, digest, stream, on_offset)
        else:
            on_offset(size)
        for partial in target.parent.glob(f".{target.name}.*.partial"):
            partial.unlink(missing_ok=True)


def send(root: Path, name: str, offset: int, stream: BinaryIO) -> None:
    """Writes a result to a stream, from a byte on.

    Raises:
        UsageError: the path leads elsewhere, or there is no such file.
    """
    path = _inside(root, name, OUTPUT)
    _confined(root, path)
    if path.is_symlink() or not path.is_file():
        raise UsageError(f"{path}: no such file")
    with path.open("rb") as source:
        source.seek(offset)
        while chunk := source.read(CHUNK):
            stream.write(chunk)
    stream.flush()


def _inside(root: Path, name: str, area: str) -> Path:
    """The file that a path below the share names, if it is one of the area's."""
    parts = PurePosixPath(name)
    if (
        str(parts) != name
        or not name.isprintable()
        or str(parts.parent) not in _FOLDERS[area]
        or parts.name.startswith(".")
        or (area != OUTPUT and not is_dataset(parts.name))
    ):
        allowed = " or ".join(f"{folder}/NAME" for folder in _FOLDERS[area])
        raise UsageError(f"{name!r}: not a path of {area}; write {allowed}")
    return root / parts


def _confined(root: Path, path: Path) -> None:
    if path.parent.resolve() != root.resolve() / path.parent.relative_to(root):
        raise UsageError(f"{path.parent}: a symbolic link leads elsewhere")


def _complete(
    target: Path, size: int, digest: str, stream: BinaryIO, on_offset: Callable[[int], None]
) -> None:
    partial = target.with_name(f".{target.name}.{digest}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(partial, flags, 0o644), "ab") as sink:
        offset = os.fstat(sink.fileno()).st_size
        if offset > size:
            sink.truncate(0)
            offset = 0
        on_offset(offset)
        while offset < size and (chunk := stream.read(min(CHUNK, size - offset))):
            sink.write(chunk)
            offset += len(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    if offset < size:
        raise Interrupted(f"{target}: {offset} of {size} bytes came; send the rest again")
    if sha256(partial) != digest:
        partial.unlink(missing_ok=True)
        raise WorkloadError(f"{target}: what came has another hash; send it again")
    partial.replace(target)
    sync(target.parent)

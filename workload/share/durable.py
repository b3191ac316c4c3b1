"""Files that are whole or not there, at any time and after a loss of power."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workload.errors import ShareUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of what is full: a disk, a quota, or the limit of a file's size."""

_UNUSABLE = FULL | {errno.EROFS, errno.EACCES, errno.EPERM}


def sha256(content: bytes | Path) -> str:
    """Return the hex digest of bytes or of a file, as `sha256sum` prints it."""
    if isinstance(content, Path):
        with content.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(content).hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of a full or read-only share into one line.

    Raises:
        ShareUnusable: nothing can be written at `path`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _UNUSABLE:
            raise ShareUnusable(
                f"{path}: {os.strerror(error.errno or 0).lower()}; what is done is kept, start "
                "again when it can be written"
            ) from error
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that any reader, at any time, sees the old or the new one, whole.

    The content is on disk before the name changes, and the name before the call returns.
    """
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new name beside `path` for a file that takes its place when the context ends.

    The content is on disk before the name changes, and the name before the context ends. When it
    ends with an exception, the new file is removed and the old one is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        sync(temporary)
        rename(temporary, path)
    finally:
        # Renaming one link to a file over another leaves both names.
        with suppress(OSError):
            temporary.unlink()


def write_in_turn(path: Path, content: bytes, check: Callable[[], None]) -> bool:
    """Write a file as `write_atomic` does, unless another writer comes after `check`.

    A writer that is stopped, however long, replaces nothing that others wrote meanwhile: the new
    file waits in a directory beside `path`, where each writer removes the files of all others
    before it looks at what it replaces. The one whose file is gone has lost its turn.

    Args:
        path: the file.
        content: its new bytes.
        check: looks whether they may replace what is there; raises if not.

    Returns:
        Whether the file was written; if not, look again at what it should hold.
    """
    queue = path.with_name(f".{path.name}.next")
    queue.mkdir(exist_ok=True)
    waiting = queue / secrets.token_hex(8)
    try:
        write_atomic(waiting, content)
        take_turns(path, waiting)
        check()
        rename(waiting, path)
    except FileNotFoundError:
        if not queue.is_dir():
            raise
        return False
    finally:
        waiting.unlink(missing_ok=True)
    return True


def take_turns(path: Path, ours: Path | None = None) -> None:
    """Take the turn of all others that are about to write a file with `write_in_turn`."""
    queue = path.with_name(f".{path.name}.next")
    with suppress(FileNotFoundError):
        for other in queue.iterdir():
            if other != ours:
                other.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Give a file, whose content is on disk, another name durably."""
    source.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

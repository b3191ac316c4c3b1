"""The shared directory: where datasets are read and results are written.

On a laptop it is a local directory; in a cluster it is NFS, where another node may see a new name
late or an old one for tens of seconds.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from workload.errors import DatasetFailed, DatasetRefused, ShareUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SHARE = Path("/mnt/fileserver")
"""Where a cluster mounts it."""

TRAINING = "datasets/training"
TESTING = "datasets/testing"
OUTPUT = "output"
SUFFIXES = (".pkl", ".parquet", ".csv", ".csv.gz")
"""Names of dataset files end in one of these."""
VISIBILITY_SECONDS = 90.0
"""How long a file that must exist may stay invisible: NFS attribute caches hold up to 60 s."""

_NO_PATH = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EINVAL}
"""Errors that lie in the path itself, not in the state of the share."""

_UNUSABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class NotVisible(Exception):
    """A file is not there, or not yet the one it must be."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share at ``root``.

    Args:
        root: the mounted directory.
        visibility_seconds: longest wait for a file that must exist.
        pause: sleeps between looks; may raise to give up.
    """

    root: Path
    visibility_seconds: float = VISIBILITY_SECONDS
    pause: Callable[[float], None] = time.sleep

    @property
    def output(self) -> Path:
        """Where checkpoints, ledger and reports are."""
        return self.root / OUTPUT

    def check(self) -> None:
        """Makes the output directory and writes to it; raises ShareUnusable when that fails."""
        if not self.root.is_dir():
            raise ShareUnusable(f"{self.root}: no such directory; mount the share or name another")
        with writing(self.output):
            self.output.mkdir(exist_ok=True)
            write_atomic(self.output / ".writable", bytes(65536))
            (self.output / ".writable").unlink(missing_ok=True)

    def dataset_path(self, dataset: str) -> Path:
        """The file a queue item names.

        Raises:
            DatasetRefused: the item leads out of the share or is not a plain file.
            OSError: the file is not there, or the share can't be read now.
        """
        name = PurePosixPath(dataset)
        if not dataset or "\0" in dataset or name.is_absolute() or ".." in name.parts:
            raise DatasetRefused(
                "the path leads out of the share; name a file below it, "
                f"such as {TRAINING}/2018-04-01.pkl"
            )
        path = self.root / name
        try:
            if not path.resolve().is_relative_to(self.root.resolve()):
                raise DatasetRefused("a symbolic link leads out of the share")
            mode = path.stat().st_mode
        except RuntimeError as error:  # how Python before 3.13 reports a loop
            raise DatasetRefused("the path can't be followed (a loop of links)") from error
        except OSError as error:
            if error.errno in _NO_PATH:
                reason = os.strerror(error.errno).lower()
                raise DatasetRefused(f"the path can't be followed ({reason})") from error
            raise
        if not stat.S_ISREG(mode):
            raise DatasetRefused("not a file; name a file of one day's transactions")
        return path

    def when_visible(self, what: str, look: Callable[[], T]) -> T:
        """Repeats ``look`` until it stops raising NotVisible or FileNotFoundError.

        Raises:
            DatasetFailed: it stayed invisible for ``visibility_seconds``.
        """
        deadline = time.monotonic() + self.visibility_seconds
        delay = 0.05
        while True:
            try:
                return look()
            except (NotVisible, FileNotFoundError) as error:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise DatasetFailed(
                        f"{what}: {_reason(error)} after {self.visibility_seconds:.0f} s"
                    ) from error
            self.pause(min(delay, remaining))
            delay = min(delay * 2, 2.0)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the errors of a full or read-only share into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in _UNUSABLE:
            raise ShareUnusable(
                f"{path}: {os.strerror(error.errno or 0).lower()}; the work goes back to the queue,"
                " start again when the share can be written"
            ) from error
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file so that any reader, at any time, sees the old or the new one, whole.

    The content is on disk before the name changes, and the name before the call returns.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Makes a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(error)

"""The shared directory: where datasets are read and results are written.

On a laptop it is a local directory; in a cluster it is NFS, where another node may see a new name
late or an old one for tens of seconds.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from workload.errors import DatasetFailed, DatasetRefused, ShareUnusable, UsageError
from workload.retry import retry
from workload.share.durable import write_atomic, writing

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SHARE = Path("/mnt/fileserver")
"""Where a cluster mounts it."""

TRAINING = "datasets/training"
TESTING = "datasets/testing"
OUTPUT = "output"
_HIDDEN = (".checkpoints", ".ledger.jsonl.next")
VISIBILITY_SECONDS = 90.0
"""How long a file that must exist may stay invisible: NFS attribute caches hold up to 60 s."""

_ABANDONED_SECONDS = 3600.0
"""No file is written for as long as this."""

_NO_PATH = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EINVAL}
"""Errors that lie in the path itself, not in the state of the share."""


class NotVisible(Exception):
    """A file is not there, or not yet the one it must be."""


_PASSING = {errno.ENOENT, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTUNREACH}
"""Errors of an NFS client that end when it has asked its server again."""


def _may_become_visible(error: Exception) -> bool:
    return isinstance(error, NotVisible) or (isinstance(error, OSError) and error.errno in _PASSING)


@dataclass(frozen=True, slots=True)
class Share:
    """A share at `root`.

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

    def probe_writable(self) -> None:
        """Make the output directory and write to it; remove what was abandoned there long ago.

        Raises:
            ShareUnusable: it can't be written.
            UsageError: it is a link.
        """
        if not self.root.is_dir():
            raise ShareUnusable(f"{self.root}: no such directory; mount the share or name another")
        require_plain_output(self.root)
        with writing(self.output):
            self.output.mkdir(exist_ok=True)
            write_atomic(self.output / ".writable", bytes(65536))
            (self.output / ".writable").unlink(missing_ok=True)
        self.sweep(_ABANDONED_SECONDS)

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what writers that were killed have left unfinished.

        Args:
            older_than_seconds: age below which a file may still be written to.
        """
        oldest = time.time() - older_than_seconds
        for folder in (TRAINING, TESTING, OUTPUT, f"{OUTPUT}/.checkpoints"):
            with suppress(OSError):
                for path in (self.root / folder).glob(".*.tmp"):
                    if path.lstat().st_mtime <= oldest:
                        path.unlink(missing_ok=True)

    def dataset_path(self, dataset: str) -> Path:
        """Return the file a queue item names.

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

    def wait_until_visible(self, what: str, look: Callable[[], T]) -> T:
        """Return what `look` returns, repeating it while that is not visible yet.

        So are a file that is not there, one that is not the one it must be (NotVisible), and one
        whose NFS handle is stale or whose server does not answer.

        Raises:
            DatasetFailed: it stayed so for `visibility_seconds`.
        """
        try:
            return retry(
                lambda _: look(),
                lambda error, _: _may_become_visible(error),
                self.visibility_seconds,
                self.pause,
            )
        except (NotVisible, OSError) as error:
            if not _may_become_visible(error):
                raise
            reason = str(error)
            if isinstance(error, OSError):
                reason = os.strerror(error.errno or 0).lower().replace(" or directory", "")
            raise DatasetFailed(
                f"{what}: {reason} after {self.visibility_seconds:.0f} s"
            ) from error


def require_plain_output(root: Path) -> None:
    """Check that the directories of results below `root`, as far as they are there, are no links.

    Raises:
        UsageError: one is, so that results would be written, and others removed, elsewhere.
    """
    output = root / OUTPUT
    for path in (output, *(output / name for name in _HIDDEN)):
        with suppress(FileNotFoundError, NotADirectoryError):
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                what = "a link" if stat.S_ISLNK(mode) else "no directory"
                raise UsageError(
                    f"{path}: is {what}; results are kept in plain directories only: move it away, "
                    "or name the share itself by a link"
                )

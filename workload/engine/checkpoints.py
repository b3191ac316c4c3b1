"""Checkpoint files: written once under a name that is their hash, published after the commit.

`output/.checkpoints/<sha256>.pkl` is immutable. `output/model_cpt_<dataset stem>.pkl` is the
name users know; it is set only from a commit record, so a worker that lost its lease can leave an
unused file behind but never replace a committed one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.engine.canonical import decode
from workload.engine.records import (
    PREFIX,
    check_commit,
    check_record,
    checkpoint_name,
    is_hash,
    ledger_record,
)
from workload.errors import DatasetFailed, UsageError
from workload.share.durable import replacing, sha256, write_atomic, writing
from workload.share.store import NotVisible, Share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT = "batch-aiml checkpoint 3"

REBUILD = "`workload queue rebuild` makes the records again from the files"

MAX_BYTES = 4 << 30
"""Largest checkpoint that is written and read: 4 GiB."""


def load(content: bytes, what: str) -> dict[str, Any]:
    """Decode a checkpoint's bytes.

    Raises:
        ValueError: they are not one; the message names `what`.
    """
    try:
        tree = decode(content)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if tree.get("format") != FORMAT:
        raise ValueError(f"{what}: not a checkpoint of this version ({FORMAT} is needed)")
    record = tree.get("record")
    try:
        if not isinstance(record, dict):
            raise ValueError("its ledger record is missing")  # noqa: TRY301, TRY004 - bad content
        check_record(record)
        tree["record"] = ledger_record(record)
    except ValueError as error:
        raise ValueError(f"{what}: not a checkpoint ({error})") from error
    return tree


def read_plain(
    path: Path, last: int | None = None, *, most: int = MAX_BYTES, links: bool = False
) -> bytes:
    """Return the bytes of a file of `output`; pipes are not waited for.

    Args:
        path: the file.
        last: how many of its last bytes; None for all.
        most: largest file that is read, in bytes.
        links: whether the file may be a link.

    Raises:
        ValueError: it is no plain file, or larger than `most`.
        OSError: it can't be read.
    """
    try:
        no_links = 0 if links else os.O_NOFOLLOW
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | no_links)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            raise ValueError("not a plain file") from error
        raise
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a plain file")
        if found.st_size > most:
            raise ValueError(f"{found.st_size} bytes; at most {most} are read")
        if last is not None:
            stream.seek(max(0, found.st_size - last))
        return stream.read()


@dataclass(frozen=True, slots=True)
class CheckpointStore:
    """The checkpoints on a share."""

    share: Share

    def write(self, content: bytes) -> str:
        """Store bytes durably under their hash and return it.

        Raises:
            DatasetFailed: they are more than are read again.
            ShareUnusable: the share is full or can't be written.
        """
        if len(content) > MAX_BYTES:
            raise DatasetFailed(
                f"the checkpoint would have {len(content)} bytes; at most {MAX_BYTES} are read: "
                "let the trainer save less"
            )
        digest = sha256(content)
        path = self._immutable(digest)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if _content(path, digest) is None:
                write_atomic(path, content)
        return digest

    def read(self, digest: str, dataset: str) -> bytes:
        """Return the bytes of a committed checkpoint, waiting for them to become visible.

        Raises:
            DatasetFailed: they stayed invisible, or the file has another content.
            UsageError: `digest` is no hash.
        """
        if not is_hash(digest):
            raise UsageError(f"{digest!r:.100}: no hash of a checkpoint; {REBUILD}")
        published = self.share.output / checkpoint_name(dataset)

        def look() -> bytes:
            content = self.find(digest, dataset)
            if content is None:
                raise NotVisible(f"checkpoint {digest[:12]} is not there or has another content")
            return content

        try:
            return self.share.wait_until_visible(published.name, look)
        except DatasetFailed as error:
            raise DatasetFailed(
                f"{error}; `workload queue rebuild` learns again what is lost"
            ) from error

    def find(self, digest: str, dataset: str) -> bytes | None:
        """Return the bytes of a checkpoint as they are now; None if they are nowhere."""
        for path in (self._immutable(digest), self.share.output / checkpoint_name(dataset)):
            content = _content(path, digest)
            if content is not None:
                return content
        return None

    def publish(self, record: Mapping[str, Any]) -> None:
        """Give a committed checkpoint its published name; do nothing when it has it.

        Raises:
            UsageError: the record is none that the chain writes.
            DatasetFailed: the checkpoint is lost.
            ShareUnusable: the share is full or can't be written.
        """
        try:
            check_commit(record)
        except ValueError as error:
            raise UsageError(f"{self.share.output}: {error}; {REBUILD}") from error
        immutable = self._immutable(record["checkpoint"])
        published = self.share.output / record["checkpoint_file"]
        with suppress(OSError):
            if os.path.samestat(published.lstat(), immutable.lstat()):
                return
        if _content(published, record["checkpoint"]) is not None:
            return
        content = self.read(record["checkpoint"], record["dataset"])
        with writing(published), replacing(published) as temporary:
            try:
                os.link(immutable, temporary)
            except OSError:  # a file system without hard links
                with temporary.open("wb") as stream:
                    stream.write(content)

    def withdrawn(self, records: Sequence[Mapping[str, Any]]) -> set[str]:
        """Return the hashes of the checkpoints that have lost their published names alone."""
        if not records:
            return set()
        with os.scandir(self.share.output) as entries:  # one request for all names
            names = {each.name for each in entries if not each.is_symlink()}
        return {
            record["checkpoint"]
            for record in records
            if record["checkpoint_file"] not in names
            and self._immutable(record["checkpoint"]).exists()
        }

    def published(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield each published checkpoint: path, and record with its hash; {} if unreadable.

        Raises:
            UsageError: a directory has the name of one.
        """
        for path in sorted(self.share.output.glob(f"{PREFIX}*.pkl")):
            if path.is_dir() and not path.is_symlink():
                raise UsageError(f"{path}: a directory where a checkpoint goes; move it away")
            record: dict[str, Any] = {}
            with suppress(ValueError, FileNotFoundError):
                content = read_plain(path)
                found = load(content, path.name)["record"]
                if found["checkpoint_file"] == path.name:
                    record = {**found, "checkpoint": sha256(content)}
            yield path, record

    def keeps(self, digest: str) -> bool:
        """Return whether the bytes lie under their hash."""
        return _content(self._immutable(digest), digest) is not None

    def _immutable(self, digest: str) -> Path:
        return self.share.output / ".checkpoints" / f"{digest}.pkl"


def _content(path: Path, digest: str) -> bytes | None:
    """Return the bytes of a file; None if it is not there or is not the one it must be."""
    with suppress(ValueError, FileNotFoundError):
        content = read_plain(path)
        if sha256(content) == digest:
            return content
    return None

"""Checkpoint files: written once under a name that is their hash, published after the commit.

`output/.checkpoints/<sha256>.pkl` is immutable. `output/model_cpt_<dataset stem>.pkl` is the
name users know; it is set only from a commit record, so a worker that lost its lease can leave an
unused file behind but never replace a committed one.
"""

from __future__ import annotations

import datetime as dt
import errno
import math
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.engine.canonical import decode
from workload.errors import DatasetFailed, DatasetRefused, UsageError, WorkloadError
from workload.share.dataset_file import dataset_stem
from workload.share.durable import replacing, sha256, write_atomic, writing
from workload.share.store import NotVisible, Share
from workload.text import printable
from workload.trainers.identity import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FORMAT = "batch-aiml checkpoint 3"
_PREFIX = "model_cpt_"
_LONGEST_NAME = 1000
_RECORD = {"order", "dataset", "date", "sha256", "base", "checkpoint_file", *FIELDS}
_PUBLISHED = re.compile(rf"{_PREFIX}[^/\0]+\.pkl")
_HASH = re.compile(r"[0-9a-f]{64}")

MAX_BYTES = 4 << 30
"""Largest checkpoint that is written and read: 4 GiB."""


def checkpoint_name(dataset: str) -> str:
    """Return the published name for a dataset: `model_cpt_2018-04-01.pkl`."""
    try:
        stem = dataset_stem(dataset)
    except DatasetRefused:  # of a record that no worker has written
        stem = PurePosixPath(dataset).stem
    return f"{_PREFIX}{stem}.pkl"


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


def ledger_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's record as the ledger holds it: values of JSON.

    NumPy's numbers are Python's, and one that is not finite, for which JSON has nothing, is None.

    Raises:
        ValueError: bytes or an array are in it; the message says where.
    """
    return {key: _json_value(value, key) for key, value in record.items()}


def _json_value(value: object, where: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {key: _json_value(each, f"{where}.{key}") for key, each in value.items()}
        case list():
            return [_json_value(each, f"{where}.{number}") for number, each in enumerate(value)]
        case _:
            raise ValueError(
                f"{printable(where)[:300]}: the ledger can't hold {type(value).__name__}; allowed "
                "among metrics and facts are numbers, texts, None, and lists and dicts of them"
            )


def check_record(record: Mapping[str, Any]) -> None:
    """Check the fields of a record that this program relies on.

    Raises:
        ValueError: one is missing, or is not what the chain writes.
    """
    if missing := sorted(_RECORD - record.keys()):
        raise ValueError(f"its ledger record lacks {', '.join(missing)}")
    for field, fits in _FITS.items():
        if field in record and not fits(record[field]):
            shown = repr(record[field])[:100] if isinstance(record[field], str) else "another type"
            raise ValueError(f"the {field} in its record is {shown}")
    name = checkpoint_name(record["dataset"])
    if record["checkpoint_file"] != name:
        raise ValueError(f"the checkpoint_file in its record is not {name}")


def check_names(record: Mapping[str, Any]) -> None:
    """Check that a record, of the ledger or from Redis, names no file but those of checkpoints.

    Raises:
        ValueError: it does.
    """
    name = record.get("checkpoint_file")
    if (
        type(name) is not str
        or not _PUBLISHED.fullmatch(name)
        or not _is_hash(record["checkpoint"])
    ):
        raise ValueError("a record names another file than a checkpoint")


def _is_dataset(value: object) -> bool:
    if type(value) is not str or "\0" in value or len(value) > _LONGEST_NAME:
        return False
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        return False
    try:
        return bool(dataset_stem(value))
    except WorkloadError:
        return False


def _is_date(value: object) -> bool:
    try:
        return type(value) is str and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_hash(value: object) -> bool:
    return type(value) is str and _HASH.fullmatch(value) is not None


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(
        type(each) is str for pair in value.items() for each in pair
    )


_FITS: dict[str, Callable[[object], bool]] = {
    "order": lambda value: type(value) is int and 0 < value <= 1 << 53,
    "rows": lambda value: type(value) is int and 0 <= value <= 1 << 53,
    "dataset": _is_dataset,
    "date": _is_date,
    "sha256": _is_hash,
    "base": lambda value: value is None or _is_hash(value),
    "checkpoint": _is_hash,
    "checkpoint_file": lambda value: type(value) is str,
    "trainer": lambda value: type(value) is str,
    "headline": lambda value: isinstance(value, list) and all(type(i) is str for i in value),
    "options": _is_text_map,
    "metrics": lambda value: isinstance(value, dict),
}
"""What the fields of a record must be."""


def read_plain(path: Path, last: int | None = None) -> bytes:
    """Return the bytes of a checkpoint file; links are followed, pipes are not waited for.

    Args:
        path: the file.
        last: how many of its last bytes; None for all.

    Raises:
        ValueError: it is no plain file, or larger than `MAX_BYTES`.
        OSError: it can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link to itself, a socket
            raise ValueError("not a plain file") from error
        raise
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a plain file")
        if found.st_size > MAX_BYTES:
            raise ValueError(f"{found.st_size} bytes; at most {MAX_BYTES} are read")
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
        """
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
            check_names(record)
        except ValueError as error:
            raise UsageError(
                f"{self.share.output}: {error}; `workload queue rebuild` makes the records again"
            ) from error
        immutable = self._immutable(record["checkpoint"])
        published = self.share.output / record["checkpoint_file"]
        with suppress(OSError):
            if published.samefile(immutable):
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
            names = {each.name for each in entries if not each.is_symlink() or Path(each).exists()}
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
        for path in sorted(self.share.output.glob(f"{_PREFIX}*.pkl")):
            if path.is_dir():
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

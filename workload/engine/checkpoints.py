"""Checkpoint files: written once under a name that is their hash, published after the commit.

`output/.checkpoints/<sha256>.pkl` is immutable. `output/model_cpt_<dataset stem>.pkl` is the
name users know; it is set only from a commit record, so a worker that lost its lease can leave an
unused file behind but never replace a committed one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from workload.engine.canonical import decode
from workload.errors import DatasetRefused
from workload.share.dataset_file import dataset_stem
from workload.share.durable import replacing, sha256, write_atomic, writing
from workload.share.store import NotVisible, Share
from workload.trainers.identity import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT = "batch-aiml checkpoint 3"
_PREFIX = "model_cpt_"
_RECORD = {"order", "dataset", "date", "sha256", "base", "checkpoint_file", *FIELDS}


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
    if not isinstance(record, dict) or not record.keys() >= _RECORD:
        raise ValueError(f"{what}: not a checkpoint (its ledger record is missing)")
    return tree


@dataclass(frozen=True, slots=True)
class CheckpointStore:
    """The checkpoints on a share."""

    share: Share

    def write(self, content: bytes) -> str:
        """Store bytes durably under their hash and return it.

        Raises:
            ShareUnusable: the share is full or can't be written.
        """
        digest = sha256(content)
        path = self._immutable(digest)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._is(path, digest):
                write_atomic(path, content)
        return digest

    def read(self, digest: str, dataset: str) -> bytes:
        """Return the bytes of a committed checkpoint, waiting for them to become visible.

        Raises:
            DatasetFailed: they stayed invisible, or the file has another content.
        """
        published = self.share.output / checkpoint_name(dataset)

        def look() -> bytes:
            for path in (self._immutable(digest), published):
                with suppress(FileNotFoundError):
                    content = path.read_bytes()
                    if sha256(content) == digest:
                        return content
            raise NotVisible(f"checkpoint {digest[:12]} is not there or has another content")

        return self.share.wait_until_visible(published.name, look)

    def publish(self, record: Mapping[str, Any]) -> None:
        """Give a committed checkpoint its published name; do nothing when it has it."""
        immutable = self._immutable(record["checkpoint"])
        published = self.share.output / record["checkpoint_file"]
        with suppress(FileNotFoundError):
            if published.samefile(immutable) or self._is(published, record["checkpoint"]):
                return
        content = self.read(record["checkpoint"], record["dataset"])
        with writing(published), replacing(published) as temporary:
            try:
                os.link(immutable, temporary)
            except OSError:  # a file system without hard links
                with temporary.open("wb") as stream:
                    stream.write(content)

    def published(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield each published checkpoint: path, and record with its hash; {} if unreadable."""
        for path in sorted(self.share.output.glob(f"{_PREFIX}*.pkl")):
            record: dict[str, Any] = {}
            content = path.read_bytes()
            with suppress(ValueError):
                record = {**load(content, path.name)["record"], "checkpoint": sha256(content)}
            yield path, record

    def _immutable(self, digest: str) -> Path:
        return self.share.output / ".checkpoints" / f"{digest}.pkl"

    def _is(self, path: Path, digest: str) -> bool:
        with suppress(FileNotFoundError):
            return sha256(path) == digest
        return False

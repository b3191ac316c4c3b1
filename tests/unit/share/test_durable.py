"""A name on the share outlives a loss of power: content first, then name, both on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.transfers import NAME, put_all
from workload.engine.checkpoints import CheckpointStore
from workload.share.durable import write_atomic
from workload.share.store import Share
from workload.share.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = b"so little that it may still be in a buffer of this process"


def _by_write_atomic(root: Path) -> Path:
    write_atomic(root / "file", CONTENT)
    return root / "file"


def _by_a_checkpoint(root: Path) -> Path:
    share = Share(root)
    share.probe_writable()
    digest = CheckpointStore(share).write(CONTENT)
    [path] = (path for path in root.rglob(f"*{digest}*") if path.is_file())
    return path


def _by_a_transfer_of_a_directory(root: Path) -> Path:
    source = root / "source" / "training" / "2018-04-01.pkl"
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    transfer(root / "source", root)
    return root / NAME


def _by_a_transfer_through_a_pipe(root: Path) -> Path:
    put_all(root, {NAME: CONTENT})
    return root / NAME


@pytest.mark.parametrize(
    "store",
    [
        _by_write_atomic,
        _by_a_checkpoint,
        _by_a_transfer_of_a_directory,
        _by_a_transfer_through_a_pipe,
    ],
)
def test_content_is_on_disk_before_its_name_and_the_name_before_the_call_returns(
    store: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, Path, object]] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(("flush", path, None if path.is_dir() else path.stat().st_size))
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        events.append(("rename", path, target))
        return replace(path, target)

    monkeypatch.setattr("os.fsync", flushed)
    monkeypatch.setattr("pathlib.Path.replace", renamed)
    stored = store(tmp_path)

    assert stored.read_bytes() == CONTENT
    [(at, temporary)] = [
        (position, path)
        for position, (what, path, target) in enumerate(events)
        if what == "rename" and target == stored
    ]
    assert ("flush", temporary, len(CONTENT)) in events[:at]
    assert ("flush", stored.parent, None) in events[at:]

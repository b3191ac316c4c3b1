"""Checkpoint files: immutable under their hash, published whole, checked when read."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from workload.engine.canonical import encode
from workload.engine.checkpoints import (
    FORMAT,
    CheckpointStore,
    load,
    read_plain,
)
from workload.engine.records import checkpoint_name
from workload.errors import DatasetFailed, ShareUnusable
from workload.share.store import Share

DATASET = "datasets/training/2018-04-01.pkl"
NAME = "model_cpt_2018-04-01.pkl"


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    share = Share(tmp_path, visibility_seconds=0.0)
    share.probe_writable()
    return CheckpointStore(share)


RECORD = {
    "order": 1,
    "dataset": DATASET,
    "date": "2018-04-01",
    "sha256": "0" * 64,
    "base": None,
    "checkpoint_file": NAME,
    "trainer": "fraud",
    "headline": [],
    "options": {},
}


def checkpoint(number: int, **other: object) -> bytes:
    return encode({"format": FORMAT, "record": {**RECORD, **other}, "number": number})


def record(content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {**RECORD, "checkpoint": digest}


def committed(store: CheckpointStore, content: bytes) -> dict[str, Any]:
    """Write and publish; return the record."""
    store.write(content)
    store.publish(record(content))
    return record(content)


def identity(path: Path) -> tuple[int, int]:
    """Return what changes whenever the file is written or replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def names(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.share.output.iterdir())


@pytest.mark.parametrize("suffix", ["pkl", "parquet", "csv", "csv.gz"])
def test_published_name_is_that_of_the_tutorial_whatever_the_format(suffix: str) -> None:
    assert checkpoint_name(f"datasets/training/2018-04-01.{suffix}") == NAME


def test_file_is_named_by_the_hash_of_its_bytes(store: CheckpointStore) -> None:
    content = checkpoint(1)
    digest = store.write(content)
    assert digest == hashlib.sha256(content).hexdigest()
    assert (store.share.output / ".checkpoints" / f"{digest}.pkl").read_bytes() == content


def test_writing_again_changes_nothing(store: CheckpointStore) -> None:
    digest = store.write(checkpoint(1))
    path = store.share.output / ".checkpoints" / f"{digest}.pkl"
    before = identity(path)
    assert store.write(checkpoint(1)) == digest
    assert identity(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_writing_mends_a_damaged_file(store: CheckpointStore) -> None:
    digest = store.write(checkpoint(1))
    path = store.share.output / ".checkpoints" / f"{digest}.pkl"
    path.write_bytes(b"damaged")
    store.write(checkpoint(1))
    assert path.read_bytes() == checkpoint(1)


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
class TestPublish:
    @pytest.fixture(autouse=True)
    def _file_system(self, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        if not links:
            monkeypatch.setattr("workload.engine.checkpoints.os.link", refuse)

    def test_committed_bytes_get_the_published_name_and_leave_no_other(
        self, store: CheckpointStore
    ) -> None:
        committed(store, checkpoint(1))
        assert (store.share.output / NAME).read_bytes() == checkpoint(1)
        assert names(store) == [".checkpoints", NAME]

    def test_publishing_again_changes_nothing(self, store: CheckpointStore) -> None:
        committed(store, checkpoint(1))
        before = identity(store.share.output / NAME)
        store.publish(record(checkpoint(1)))
        assert identity(store.share.output / NAME) == before
        assert names(store) == [".checkpoints", NAME]

    @pytest.mark.parametrize("wrong", [b"", b"garbage", checkpoint(2)])
    def test_another_content_under_the_name_is_replaced(
        self, store: CheckpointStore, wrong: bytes
    ) -> None:
        (store.share.output / NAME).write_bytes(wrong)
        committed(store, checkpoint(1))
        assert (store.share.output / NAME).read_bytes() == checkpoint(1)

    def test_name_holds_the_old_or_the_new_bytes_at_every_moment(
        self, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        committed(store, checkpoint(1))
        store.write(checkpoint(2))
        published, replace = store.share.output / NAME, Path.replace

        def watched(old: Path, new: Path) -> Path:
            assert new == published
            assert published.read_bytes() == checkpoint(1)
            assert old.read_bytes() == checkpoint(2), "only whole files are given the name"
            return replace(old, new)

        monkeypatch.setattr(Path, "replace", watched)
        monkeypatch.setattr(Path, "write_bytes", None)
        store.publish(record(checkpoint(2)))
        assert published.read_bytes() == checkpoint(2)

    def test_checkpoint_whose_first_name_is_lost_keeps_the_published_one(
        self, store: CheckpointStore
    ) -> None:
        kept = committed(store, checkpoint(1))
        (store.share.output / ".checkpoints" / f"{kept['checkpoint']}.pkl").unlink()
        store.publish(kept)
        assert (store.share.output / NAME).read_bytes() == checkpoint(1)

    def test_bytes_that_are_nowhere_are_not_published(self, store: CheckpointStore) -> None:
        with pytest.raises(DatasetFailed):
            store.publish(record(checkpoint(1)))
        assert names(store) == []


def test_orphan_never_replaces_a_committed_file(store: CheckpointStore) -> None:
    kept = committed(store, checkpoint(1))
    store.write(checkpoint(2))
    assert (store.share.output / NAME).read_bytes() == checkpoint(1)
    store.publish(kept)
    assert (store.share.output / NAME).read_bytes() == checkpoint(1)


def test_read_accepts_either_name_but_only_the_right_bytes(store: CheckpointStore) -> None:
    digest = committed(store, checkpoint(1))["checkpoint"]
    immutable, published = store.share.output / ".checkpoints" / f"{digest}.pkl", NAME
    assert store.read(digest, DATASET) == checkpoint(1)
    immutable.unlink()
    assert store.read(digest, DATASET) == checkpoint(1)
    immutable.write_bytes(checkpoint(2))
    assert store.read(digest, DATASET) == checkpoint(1)
    (store.share.output / published).unlink()
    with pytest.raises(DatasetFailed, match=f"{NAME}: checkpoint {digest[:12]} is not there"):
        store.read(digest, DATASET)


def test_read_waits_until_another_nodes_file_is_visible(store: CheckpointStore) -> None:
    digest = store.write(checkpoint(1))
    path = store.share.output / ".checkpoints" / f"{digest}.pkl"
    path.rename(path.with_suffix(".hidden"))
    pauses: list[float] = []

    def appear(seconds: float) -> None:
        pauses.append(seconds)
        path.with_suffix(".hidden").rename(path)

    waiting = CheckpointStore(Share(store.share.root, visibility_seconds=60.0, pause=appear))
    assert waiting.read(digest, DATASET) == checkpoint(1)
    assert len(pauses) == 1


def test_checkpoint_that_is_never_visible_fails_but_is_not_refused(store: CheckpointStore) -> None:
    with pytest.raises(DatasetFailed, match="is not there or has another content after 0 s"):
        store.read("0" * 64, DATASET)


def test_full_share_is_one_line(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workload.share.store.os.fsync", full)
    with pytest.raises(ShareUnusable, match="no space left on device"):
        store.write(checkpoint(1))
    assert list((store.share.output / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a checkpoint"),
        (b"garbage", "not a checkpoint"),
        (pickle.dumps([1]), "no dict inside"),
        (pickle.dumps({}), "not a checkpoint of this version"),
        (pickle.dumps({"format": "batch-aiml checkpoint 0"}), "not a checkpoint of this version"),
        (pickle.dumps({"format": os.system}), "it needs posix.system"),
    ],
)
def test_loading_anything_else_says_which_file_it_is(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^the file: .*{reason}"):
        load(content, "the file")


def test_listing_leaves_out_what_is_unreadable_hidden_or_another_file(
    store: CheckpointStore,
) -> None:
    committed(store, checkpoint(1))
    (store.share.output / "model_cpt_2018-04-02.pkl").write_bytes(b"garbage")
    (store.share.output / ".model_cpt_2018-04-03.pkl.0.tmp").write_bytes(checkpoint(3))
    (store.share.output / "report.txt").write_text("text")
    (first, second) = store.published()
    assert (first[0].name, first[1]["checkpoint"]) == (NAME, record(checkpoint(1))["checkpoint"])
    assert (second[0].name, second[1]) == ("model_cpt_2018-04-02.pkl", {})


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("order", [None, 0, -1, True, "1", 1 << 80]),
        ("dataset", [None, 1, "", "/etc/2018-04-01.pkl", "../2018-04-01.pkl", "a.txt", "a\0.pkl"]),
        ("date", [None, 1, "", "20180401", "2018-04-31", "2018-04-01T00:00"]),
        ("sha256", [None, 1, "", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n"]),
        ("base", [1, "", "../x", "0" * 63]),
        ("checkpoint_file", [None, 1, "../../x.pkl", "model_cpt_2018-04-02.pkl", "/x"]),
        ("trainer", [None, 1]),
        ("headline", [None, "text", [1]]),
        ("options", [None, [], {"a": 1}]),
        ("metrics", [None, []]),
    ],
)
def test_record_with_a_field_that_the_chain_never_writes_is_refused(
    field: str, values: list[object]
) -> None:
    load(checkpoint(1), "the file")
    for value in values:
        with pytest.raises(ValueError, match=f"^the file: not a checkpoint .the {field} in its"):
            load(checkpoint(1, **{field: value}), "the file")


def test_checkpoint_that_could_not_be_read_again_is_not_written(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workload.engine.checkpoints.MAX_BYTES", 10)
    with pytest.raises(DatasetFailed, match="at most 10 are read: let the trainer save less"):
        store.write(checkpoint(1))
    assert names(store) == []


def test_size_is_looked_at_before_a_file_is_read(store: CheckpointStore) -> None:
    path = store.share.output / NAME
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match="1099511627776 bytes; at most"):
        read_plain(path)
    assert list(store.published()) == [(path, {})]

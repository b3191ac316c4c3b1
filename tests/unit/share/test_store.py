"""The share: what a queue item may name, waiting for late files, whole files or none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workload.errors import DatasetFailed, DatasetRefused, ShareUnusable
from workload.share.durable import write_atomic, writing
from workload.share.store import NotVisible, Share

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def share(tmp_path: Path) -> Share:
    root = tmp_path / "share"
    (root / "datasets/training").mkdir(parents=True)
    return Share(root, visibility_seconds=0.0)


@pytest.mark.parametrize(
    "item", ["", "/etc/passwd", "../x.pkl", "datasets/../../x.pkl", "..", "a\0b"]
)
def test_item_that_leads_out_of_the_share_is_refused(share: Share, item: str) -> None:
    with pytest.raises(DatasetRefused, match="the path leads out of the share"):
        share.dataset_path(item)


def test_symbolic_link_is_refused_only_when_it_leads_out(share: Share) -> None:
    inside, outside = share.root / "real.pkl", share.root.parent / "other.pkl"
    for file in (inside, outside):
        file.write_bytes(b"content")
    (share.root / "good.pkl").symlink_to(inside)
    (share.root / "bad.pkl").symlink_to(outside)
    assert share.dataset_path("good.pkl").read_bytes() == b"content"
    with pytest.raises(DatasetRefused, match="symbolic link leads out"):
        share.dataset_path("bad.pkl")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_item_that_is_no_file_is_refused_before_it_is_opened(
    share: Share, make: Callable[[Path], None]
) -> None:
    make(share.root / "2018-04-01.pkl")
    with pytest.raises(DatasetRefused, match="not a file"):
        share.dataset_path("2018-04-01.pkl")


def test_circle_of_links_is_refused(share: Share) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (share.root / one).symlink_to(share.root / other)
    with pytest.raises(DatasetRefused):
        share.dataset_path("a")


def test_missing_file_is_not_refused_for_it_may_become_visible(share: Share) -> None:
    with pytest.raises(FileNotFoundError):
        share.dataset_path("datasets/training/late.pkl")


def test_file_that_never_becomes_visible_fails_after_the_configured_wait(tmp_path: Path) -> None:
    slept: list[float] = []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 1000, "it waits for ever"
        now[0] += seconds

    now = [0.0]
    share = Share(tmp_path, visibility_seconds=90.0, pause=pause)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workload.share.store.time.monotonic", lambda: now[0])
        with pytest.raises(DatasetFailed, match="some file: no such file after 90 s"):
            share.wait_until_visible("some file", (tmp_path / "never").read_bytes)
    assert sum(slept) == pytest.approx(90.0)
    assert max(slept) <= 2.0


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTUNREACH])
def test_an_nfs_server_that_must_be_asked_again_is_waited_for(tmp_path: Path, number: int) -> None:
    left = [OSError(number, os.strerror(number), "some file")] * 3

    def look() -> str:
        if left:
            raise left.pop()
        return "there"

    share = Share(tmp_path, visibility_seconds=90.0, pause=lambda _: None)
    assert share.wait_until_visible("some file", look) == "there"
    left += [OSError(number, os.strerror(number), "some file")]
    with pytest.raises(DatasetFailed, match=f"some file: {os.strerror(number).lower()} after 0 s"):
        Share(tmp_path, visibility_seconds=0.0).wait_until_visible("some file", look)


def test_reason_of_the_last_look_is_told(share: Share) -> None:
    def look() -> None:
        raise NotVisible("it has another content")

    with pytest.raises(DatasetFailed, match="name: it has another content after 0 s"):
        share.wait_until_visible("name", look)


def test_other_errors_are_not_waited_for(share: Share) -> None:
    with pytest.raises(IsADirectoryError):
        share.wait_until_visible("name", share.root.read_bytes)


@pytest.mark.parametrize(
    "step", ["workload.share.store.os.fsync", "workload.share.store.Path.replace"]
)
def test_write_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        assert path.read_bytes() == b"old"
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(OSError, match="broken"):
            write_atomic(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_content_is_durable_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, events = tmp_path / "file", []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").resolve()
        events.append("directory" if target == tmp_path else "content")
        sync(descriptor)

    def noted_replace(old: Path, new: Path) -> Path:
        events.append("name")
        return replace(old, new)

    monkeypatch.setattr("workload.share.store.os.fsync", noted_sync)
    monkeypatch.setattr("workload.share.store.Path.replace", noted_replace)
    write_atomic(path, b"content")
    assert events == ["content", "name", "directory"]


def test_check_leaves_an_output_directory_and_no_trace_in_it(share: Share) -> None:
    share.probe_writable()
    share.probe_writable()
    assert list(share.output.iterdir()) == []


def test_share_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(ShareUnusable, match=r"nowhere: no such directory; mount the share"):
        Share(tmp_path / "nowhere").probe_writable()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_full_or_read_only_share_is_one_line_that_names_the_file(code: int) -> None:
    with (
        pytest.raises(ShareUnusable, match=rf"^/share/x: {os.strerror(code).lower()}; [^\n]+$"),
        writing(Path("/share/x")),
    ):
        raise OSError(code, os.strerror(code))


def test_other_errors_of_the_share_pass_through() -> None:
    with pytest.raises(OSError, match="stale"), writing(Path("/share/x")):
        raise OSError(errno.ESTALE, "stale")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES, errno.ETIMEDOUT])
def test_share_that_cannot_be_read_now_refuses_nothing(
    share: Share, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def stat(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.stat", stat)
    with pytest.raises(OSError, match=os.strerror(number)):
        share.dataset_path("datasets/training/2018-04-01.pkl")

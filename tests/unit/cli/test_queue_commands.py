"""The queue's commands on the share of a local run, whether a run uses it or not."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.fleet import until, write_day
from workload.errors import ExitCode
from workload.local import share_queue as local
from workload.queue import Queue, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[[str], tuple[int, str, str]]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Make a share whose queue holds three days, none learned."""
    root = tmp_path / "share"
    for number in range(3):
        date = dt.date(2018, 4, 1) + dt.timedelta(number)
        write_day(root / f"datasets/training/{date}.pkl", number, dt.date(2018, 4, 1))
    with local.serve(root) as server, connect(server.url) as client:
        Queue(client).push([f"datasets/training/2018-04-0{day}.pkl" for day in (1, 2, 3)])
    return root


def halt(share: Path) -> None:
    with local.serve(share) as server, connect(server.url) as client:
        answer: Any = Queue(client).claim()
        client.hset(
            "datasets:state",
            mapping={"halted_dataset": answer.lease.dataset, "halted_reason": "no such file"},
        )


def test_retry_of_a_halted_chain_says_so_and_lets_it_continue(
    command: Command, share: Path
) -> None:
    halt(share)
    code, out, _ = command(f"queue status --share {share}")
    assert code == ExitCode.INCOMPLETE
    assert "HALTED      datasets/training/2018-04-01.pkl: no such file" in out
    assert command(f"queue retry --share {share}") == (
        0,
        "datasets/training/2018-04-01.pkl: will be retried\n",
        "",
    )
    assert command(f"queue status --share {share}")[0] == 0


def test_retry_of_anything_else_says_why_not(command: Command, share: Path) -> None:
    code, out, err = command(f"queue retry datasets/training/2018-04-01.pkl --share {share}")
    assert (code, err) == (ExitCode.INCOMPLETE, "")
    assert out == "datasets/training/2018-04-01.pkl: the chain is not halted on it\n"


def test_retry_of_a_chain_that_is_not_halted_is_no_mistake(command: Command, share: Path) -> None:
    assert command(f"queue retry --share {share}") == (0, "the chain is not halted\n", "")


def test_share_in_use_is_refused_in_one_line_but_can_be_looked_at(
    command: Command, share: Path
) -> None:
    with local.serve(share):
        code, out, err = command(f"run --share {share}")
        assert (code, out) == (ExitCode.USAGE, "")
        reason = "another run is using this share; wait until it ends, or name another"
        assert err == f"workload: {share}: {reason}\n"
        code, out, err = command(f"queue status --share {share}")
        assert (code, err) == (0, "")
        assert "waiting     3\n" in out


def test_share_is_in_use_as_long_as_a_redis_writes_to_it(command: Command, share: Path) -> None:
    script = (
        "import sys, pathlib, time; from workload.local import share_queue as local\n"
        "with local.serve(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.url, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(share)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        with connect(run.stdout.readline().strip()) as client:
            redis: int = client.info("server")["process_id"]
        os.kill(redis, signal.SIGSTOP)  # slow to end, as with a large file
        try:
            run.kill()
            run.wait()
            with (share / ".redis/lock").open() as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.kill(redis, signal.SIGCONT)
    until(lambda: not psutil.pid_exists(redis), "the server has ended")
    # What ends the server holds the lock too, and ends after it.
    until(lambda: _unlocked(share / ".redis/lock"), "the lock is free")
    assert command(f"queue status --share {share}")[0] == 0


def _unlocked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True

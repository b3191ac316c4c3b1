"""Other queues on Redis beside this one: jobs a second, and how soon a dead worker is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Cost, Spread, cpu_ratio, in_turn, ratio, until
from benchmarks.queue import (
    AT_ONCE,
    OURS,
    REFERENCE,
    free_port,
    one_round_trip,
    run,
    server_seconds,
    tutorial_loop,
    two_round_trips,
)
from benchmarks.results import Section, Table, verdict
from workload.errors import UsageError, WorkloadError
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Queue, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / "build/peers/bin/python"
PEERS = {
    "RQ": "rq",
    "SAQ": "saq",
    "arq": "arq",
    "dramatiq": "dramatiq",
}
SETTINGS = {
    "RQ": "maintenance and monitoring every second, worker_ttl 20 s",
    "SAQ": "heartbeat 15 s, sweep every second",
    "arq": "job_timeout 31 s for a job of 30 s",
    "dramatiq": "heartbeat_timeout 15 s, maintenance at every command",
}
LIMIT_SECONDS = 120.0
"""Longest wait for a job whose worker was killed."""

_PAUSE = 0.02


def measure(*, quick: bool) -> Section:
    """Run every queue in turn on one server, then kill a worker of each.

    Raises:
        UsageError: the peers are not installed.
    """
    if not PYTHON.exists():
        raise UsageError(f"{PYTHON}: no such file; `make build/peers/.ready` installs the peers")
    jobs, rounds, trials = (300, 1, 1) if quick else (1000, 3, 3)
    costs = _throughput(jobs, rounds)
    delays = _recoveries(trials)
    ours = costs[OURS]
    rows = [
        [
            name,
            Spread.of(cost.rate for cost in mine).text(),
            ratio(ours, mine).text(2),
            Spread.of((cost.cpu + cost.server) / cost.units * 1e6 for cost in mine).text(),
            cpu_ratio(ours, mine).text(2),
        ]
        for name, mine in costs.items()
    ]
    verdicts = [
        verdict(
            f"times as fast as {name}",
            ratio(ours, mine).median,
            1.3 if name == REFERENCE else 1.0,
            2,
        )
        for name, mine in costs.items()
        if name not in {OURS, AT_ONCE}
    ]
    return Section(
        "Other queues",
        f"{jobs:,} jobs that do nothing, one worker process, the same Redis on TCP with its "
        f"append-only file (everysec); median (extremes) of {rounds} turns, each from the start of "
        "the first job to the end of the last. RQ's worker forks nothing, SAQ and arq run ten jobs "
        "at once, dramatiq eight. The ratios are this queue's to the one of the row; CPU "
        "is worker plus server. Recovery: kill -9 of the worker in the middle of a job, an idle "
        f"worker is there; seconds until the job runs again, at most {LIMIT_SECONDS:.0f}.",
        [
            Table(
                "Claim and completion",
                ["queue", "jobs/s", "times as fast", "CPU µs/job", "times less CPU"],
                rows,
            ),
            Table(
                f"Seconds until a job of a killed worker runs again, {trials} trials",
                ["queue", "seconds", "set for it"],
                [[name, _delays(mine), SETTINGS[name]] for name, mine in delays.items()]
                + [["tutorial", "never: nothing looks for its leases", ""]],
            ),
        ],
        verdicts,
    )


def _delays(seconds: list[float]) -> str:
    spread = Spread.of(seconds)
    median, low, high = (_delay(each) for each in (spread.median, spread.low, spread.high))
    return median if spread.low >= LIMIT_SECONDS else f"{median} ({low}\N{EN DASH}{high})"


def _delay(seconds: float) -> str:
    return f"over {LIMIT_SECONDS:.0f}" if seconds >= LIMIT_SECONDS else f"{seconds:.1f}"


# --- throughput ---


def _throughput(jobs: int, rounds: int) -> dict[str, list[Cost]]:
    with _tcp_server() as (server, url):
        queue = Queue(connect(url))
        client = connect(url).client()  # type: ignore[no-untyped-call]
        with connect(server.url) as control, client, closing(queue):
            subjects: dict[str, Callable[[], Cost]] = {
                OURS: partial(run, control, partial(two_round_trips, queue), jobs),
                AT_ONCE: partial(run, control, partial(one_round_trip, client), jobs),
                REFERENCE: partial(run, control, partial(tutorial_loop, client), jobs),
                **{name: partial(_cost, control, url, peer, jobs) for name, peer in PEERS.items()},
            }
            return in_turn(subjects, rounds, warm_up=False)


def _cost(control: redis.Redis, url: str, peer: str, jobs: int) -> Cost:
    control.flushall()
    _fill(peer, url, f"{jobs}")
    served = server_seconds(control)
    with _working(peer, url, fast=True):
        until(lambda: control.llen("bench:marks") >= 2, f"{peer}: all jobs done", _PAUSE)
        served = server_seconds(control) - served
    first, last = ([*map(float, mark.split())] for mark in control.lrange("bench:marks", 0, 1))
    return Cost(jobs, last[0] - first[0], last[1] - first[1], served)


# --- recovery ---


def _recoveries(trials: int) -> dict[str, list[float]]:
    """Measure all at once, each on a server of its own: they mostly wait."""
    wanted = [(name, peer) for name, peer in PEERS.items() for _ in range(trials)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        seconds = pool.map(_recovery, [peer for _, peer in wanted])
        delays: dict[str, list[float]] = {}
        for (name, _), delay in zip(wanted, seconds, strict=True):
            delays.setdefault(name, []).append(delay)
    return delays


def _recovery(peer: str) -> float:
    with _tcp_server() as (server, url), connect(server.url) as control:
        _fill(peer, url, "hold")
        with _working(peer, url) as first:
            until(lambda: control.llen("bench:starts") >= 1, f"{peer}: the job runs", _PAUSE)
            before = len(control.client_list())
            with _working(peer, url):
                until(
                    lambda: len(control.client_list()) > before, f"{peer}: a second worker", _PAUSE
                )
                time.sleep(2)
                starts = control.llen("bench:starts")
                os.killpg(first.pid, signal.SIGKILL)
                killed = time.monotonic()
                while time.monotonic() < killed + LIMIT_SECONDS:
                    if control.llen("bench:starts") > starts:
                        break
                    time.sleep(_PAUSE)
                return min(time.monotonic() - killed, LIMIT_SECONDS)


# --- processes ---


@contextmanager
def _tcp_server() -> Iterator[tuple[EmbeddedRedis, str]]:
    """Yield a server on TCP and its address; another port if somebody takes the first meanwhile."""
    with ExitStack() as stack:
        for tries_left in reversed(range(5)):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
            port = free_port()
            server = EmbeddedRedis(  # peers may use any command
                directory, options=("--port", str(port)), renamed=()
            )
            try:
                stack.enter_context(server)
            except WorkloadError:
                if not tries_left:
                    raise
            else:
                yield server, f"redis://127.0.0.1:{port}/0"
                return


def _fill(peer: str, url: str, what: str) -> None:
    if _peer(peer, "fill", url, what).wait() != 0:
        raise RuntimeError(f"{peer}: could not enqueue")


def _peer(peer: str, *words: str, fast: bool = False) -> subprocess.Popen[Any]:
    return subprocess.Popen(
        [PYTHON, HERE / "peer_worker.py", peer, *words],
        cwd=HERE,
        env={**os.environ, **({"PEER_FAST": "1"} if fast else {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def _working(peer: str, url: str, *, fast: bool = False) -> Iterator[subprocess.Popen[Any]]:
    process = _peer(peer, "work", url, fast=fast)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

"""How soon the dataset of a worker that dies is in other hands, as a distribution.

Every lane has a Redis and two real workers of its own: one holds a dataset whose file is not there
yet, so that it keeps waiting and renewing, the other has nothing to do. The first is killed; what
counts is the time until the dataset is claimed by the second. Then a third worker starts, and the
second is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import until
from benchmarks.results import Section, Table, verdict
from workload.engine.numeric import pinned_environment
from workload.local.redis_server import EmbeddedRedis
from workload.queue import connect
from workload.queue.client import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    import redis

LANES = 10
DATASET = "datasets/training/2018-04-01.pkl"
_PAUSE = 0.002


def measure(*, quick: bool) -> Section:
    """Kill workers in three ways."""
    trials = 10 if quick else 100
    ways: dict[str, Callable[[ForkServerProcess], None]] = {
        "SIGTERM": lambda worker: os.kill(worker.pid or 0, signal.SIGTERM),
        "kill -9 of the worker": lambda worker: os.kill(worker.pid or 0, signal.SIGKILL),
        "kill -9 of worker and renewer": lambda worker: os.killpg(worker.pid or 0, signal.SIGKILL),
    }
    delays = {name: _trials(kill, trials) for name, kill in ways.items()}
    limits = {"SIGTERM": 1.0}
    rows = [
        [name, f"{len(mine)}", *(f"{value:.3f}" for value in _quantiles(mine))]
        for name, mine in delays.items()
    ]
    return Section(
        "Recovery",
        f"Real workers with the default lease of {LEASE_SECONDS:.0f} s, renewed every "
        f"{LEASE_SECONDS / 3:.0f} s, {LANES} pairs at once, each with its own Redis; seconds from "
        "the signal to the claim by an idle worker. Where the renewer lives on, it returns the "
        "dataset at once; where it dies too, the lease must end.",
        [
            Table(
                "Seconds until the dataset is in other hands",
                ["what happens", "trials", "least", "median", "90 %", "99 %", "most"],
                rows,
            )
        ],
        [
            verdict(
                f"seconds after {name}, most of {len(mine)}",
                max(mine),
                limits.get(name, LEASE_SECONDS + 1.0),
                3,
                most=True,
            )
            for name, mine in delays.items()
        ],
    )


def _quantiles(values: list[float]) -> list[float]:
    ordered = sorted(values)
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return [ordered[0], statistics.median(ordered), cuts[89], cuts[98], ordered[-1]]


def _trials(kill: Callable[[ForkServerProcess], None], trials: int) -> list[float]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workload.engine.worker", "workload.fraud.trainer"])
    os.environ.update(pinned_environment())
    each = -(-trials // LANES)
    with ThreadPoolExecutor(LANES) as pool:
        lanes = pool.map(lambda lane: _lane(context, kill, each, lane), range(LANES))
        return [delay for lane in lanes for delay in lane]


def _lane(
    context: ForkServerContext,
    kill: Callable[[ForkServerProcess], None],
    trials: int,
    seed: int,
) -> list[float]:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        share = Path(name) / "share"
        share.mkdir()
        with EmbeddedRedis(Path(name) / "redis") as server, connect(server.url) as control:
            control.rpush("datasets", DATASET)
            start = partial(_start, context, share, server.url)
            workers = [start()]
            delays = []
            try:
                for _ in range(trials):
                    token = until(partial(_token, control), "a worker holds the dataset", _PAUSE)
                    idle = start()
                    workers.append(idle)
                    until(partial(_waits, control), "a worker waits", _PAUSE)
                    time.sleep(chance.uniform(0.0, LEASE_SECONDS / 3))  # anywhere between renewals
                    holder = workers.pop(0)
                    killed = time.monotonic()
                    kill(holder)
                    again = partial(_token, control, other_than=token)
                    until(again, "another worker holds the dataset", _PAUSE)
                    delays.append(time.monotonic() - killed)
                    holder.join()
            finally:
                for worker in workers:
                    os.killpg(worker.pid or 0, signal.SIGKILL)
                    worker.join()
    return delays


def _token(control: redis.Redis, other_than: str = "") -> str:
    token = control.hget("datasets:claims", DATASET)
    return "" if token == other_than else str(token or "")


def _waits(control: redis.Redis) -> str:
    """Say whether an idle worker blocks in Redis until something happens."""
    return "yes" if any(each["cmd"] == "xread" for each in control.client_list()) else ""


def _start(context: ForkServerContext, share: Path, url: str) -> ForkServerProcess:
    process = context.Process(target=_work, args=(str(share), url), daemon=False)
    process.start()
    return process


def _work(share: str, url: str) -> None:
    from workload.engine.settings import Settings  # noqa: PLC0415
    from workload.engine.signals import Termination  # noqa: PLC0415
    from workload.engine.worker import work  # noqa: PLC0415

    os.setsid()
    os.environ |= {
        "WORKLOAD_SHARE": share,
        "WORKLOAD_REDIS_URL": url,
        "WORKLOAD_VISIBILITY_SECONDS": "3600",
        "WORKLOAD_STALL_SECONDS": "3600",
        "WORKLOAD_CRASH_LIMIT": "100000",
    }
    termination = Termination()
    termination.install()
    work(Settings.load(), termination)

"""Workers as real processes, with accidents built in.

They are forked from a server process that has imported everything once, pinned as the command
line pins it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import psutil

from workload.engine.numeric import pinned_environment
from workload.fraud.simulator import World

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from pathlib import Path

    import pandas as pd

    from tests.support.redundant import RedundantRedis
    from workload.local.redis_server import EmbeddedRedis

SLOW_SECONDS = 0.5
"""What a slow disk adds to each fsync."""

PATIENCE_SECONDS = 60.0
"""Only a test that has failed waits so long."""

STEPS = {
    "before claim": ("workload.queue.client", "Queue.claim", "before"),
    "after claim": ("workload.queue.client", "Queue.claim", "after"),
    "after prepare": ("workload.engine.worker", "Worker._prepare", "after"),
    "before training": ("workload.engine.worker", "train", "before"),
    "after training": ("workload.engine.worker", "train", "after"),
    "while writing": ("workload.share.store", "os.fsync", "before"),
    "after write": ("workload.engine.checkpoints", "CheckpointStore.write", "after"),
    "after commit": ("workload.queue.client", "Queue.complete", "after"),
    "before publish": ("workload.engine.checkpoints", "CheckpointStore.publish", "before"),
    "after publish": ("workload.engine.checkpoints", "CheckpointStore.publish", "after"),
    "before ledger": ("workload.engine.ledger", "write_ledger", "before"),
    "before the ledger's name": ("workload.engine.ledger", "Projector._may_replace", "after"),
}
"""Points of the worker's cycle at which an accident can be arranged: module, function, side."""


@dataclass(frozen=True)
class Accident:
    """At its `time`-th passing of `step` the worker sends itself `number`."""

    step: str
    number: int = signal.SIGKILL
    time: int = 2


@dataclass(frozen=True)
class Worker:
    """A started worker process, leader of its own process group."""

    process: ForkServerProcess
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self) -> int:
        """Return its exit code, negative for a signal."""
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode is not None, f"still running\n{self.log.read_text()}"
        return self.process.exitcode

    def wait_until_stopped(self) -> None:
        """Wait for a SIGSTOP, such as that of an accident."""
        process = psutil.Process(self.pid)
        until(lambda: process.status() == psutil.STATUS_STOPPED, "the worker stops itself")

    def signal(self, number: int) -> None:
        """Send a signal to the worker, not to its renewer."""
        os.kill(self.pid, number)

    def lose_node(self) -> None:
        """Kill worker and renewer at once."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.join(PATIENCE_SECONDS)


class Fleet:
    """Starts workers on one share and one Redis, and leaves none behind."""

    def __init__(
        self, share: Path, server: EmbeddedRedis | RedundantRedis, logs: Path | None = None
    ) -> None:
        self.share, self.server = share, server
        self.logs = logs or share.parent
        self.slow_disk = self.logs / "slow-disk"
        """While this file exists, every fsync of a worker takes `SLOW_SECONDS` longer."""
        self.workers: list[Worker] = []

    def start(self, accident: Accident | None = None, **settings: object) -> Worker:
        """Start one; settings are those of the environment, in lower case."""
        environment = {
            "WORKLOAD_SHARE": str(self.share),
            "WORKLOAD_REDIS_URL": self.server.url,
            "WORKLOAD_WRITE_REPORT": "false",
            "WORKLOAD_VISIBILITY_SECONDS": "0",
            "WORKLOAD_FIRST_DATASET_WAIT_SECONDS": "60",
        } | {f"WORKLOAD_{name.upper()}": str(value) for name, value in settings.items()}
        log = self.logs / f"worker-{len(self.workers)}.log"
        arguments = (environment, accident, str(log), str(self.slow_disk))
        process = _context().Process(target=_main, args=arguments, daemon=False)
        process.start()
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def stop(self) -> None:
        """Kill whatever is left."""
        for worker in self.workers:
            try:
                os.killpg(worker.pid, signal.SIGKILL)
            except ProcessLookupError:
                worker.process.kill()
            worker.process.join(PATIENCE_SECONDS)


@contextmanager
def fleet(share: Path, server: EmbeddedRedis | RedundantRedis) -> Iterator[Fleet]:
    """Yield a fleet that ends with the test."""
    started = Fleet(share, server)
    try:
        yield started
    finally:
        started.stop()


def until(condition: Callable[[], bool], what: str) -> None:
    """Look until `condition` holds; how long that takes proves nothing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


@cache
def _world() -> World:
    return World(seed=0, customers=300, terminals=600)


def write_day(path: Path, number: int, start: dt.date) -> Path:
    """Write day `number` of a small world; about 600 rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame: pd.DataFrame = _world().day(number, start)
    if path.suffix == ".pkl":
        frame.to_pickle(path)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["workload.engine.worker", "workload.fraud.trainer", "tests.support.fleet"]
    )
    os.environ.update(pinned_environment())  # for the fork server, which starts now
    return context


def _main(environment: dict[str, str], accident: Accident | None, log: str, slow_disk: str) -> None:
    import logging  # noqa: PLC0415

    from workload.engine.settings import Settings  # noqa: PLC0415
    from workload.engine.signals import Termination  # noqa: PLC0415
    from workload.engine.worker import work  # noqa: PLC0415
    from workload.errors import WorkloadError  # noqa: PLC0415

    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(environment)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    termination = Termination()
    termination.install()
    _slow_down(slow_disk)
    if accident:
        _arrange(accident)
    try:
        code: int = work(Settings.load(), termination)
    except WorkloadError as error:
        logging.getLogger("workload").error("%s", error)  # noqa: TRY400 - its one line
        code = error.exit_code
    sys.exit(code)


def _slow_down(slow_disk: str) -> None:
    fsync = os.fsync

    def wrapper(descriptor: Any) -> None:
        if os.path.exists(slow_disk):  # noqa: PTH110 - cheap, at every fsync
            time.sleep(SLOW_SECONDS)
        fsync(descriptor)

    os.fsync = wrapper  # type: ignore[assignment]  # of files by number only


def _arrange(accident: Accident) -> None:
    module_name, path, side = STEPS[accident.step]
    owner: Any = sys.modules[module_name]
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function = getattr(owner, name)
    passed = 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal passed
        passed += 1
        happens = passed == accident.time
        if happens and side == "before":
            os.kill(os.getpid(), accident.number)
        result = function(*args, **kwargs)
        if happens and side == "after":
            os.kill(os.getpid(), accident.number)
        return result

    setattr(owner, name, wrapper)

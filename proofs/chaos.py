"""Chaos: a batch whose workers are killed, stopped and terminated while Redis and the disk fail.

`make chaos` runs it with 200 datasets and at least 1,000 kills, `test_chaos.py` a short one. In
the end the ledger must equal the manifest, the chain must be one, and the last checkpoint must have
the hash of a run in which nothing happened. The seed decides what is done in which order; when it
hits is up to the machine.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.fleet import STEPS, Accident, Fleet, Worker, fleet, write_day
from tests.support.redundant import RedundantRedis
from workload.engine.ledger import read_ledger
from workload.errors import ExitCode
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Queue, RetryPolicy, connect

if TYPE_CHECKING:
    from collections.abc import Callable

START = dt.date(2018, 4, 1)
LEASE_SECONDS = 2.0
SETTINGS = {
    "lease_seconds": LEASE_SECONDS,
    "renew_seconds": LEASE_SECONDS / 4,
    "crash_limit": 100_000,  # every death here is undeserved
    "redis_wait_seconds": 60,
}
DISK = "256m"
"""Size of the file system in memory that is filled up."""

QUIET_SECONDS = 300.0
"""How long the batch may take to end once nothing happens any more."""

WEIGHTS = {
    "kill worker": 60,
    "kill worker and renewer": 25,
    "stop for longer than the lease": 10,
    "terminate": 10,
    "kill Redis": 2,
    "kill Redis for good": 0.5,  # each takes seconds in which nothing else happens
    "fail over": 0.5,
    "fill the disk": 2,
    "slow the disk": 2,
}


@dataclass(frozen=True)
class Plan:
    """How much of it.

    Args:
        seed: decides the order of the trouble.
        datasets: how many days are learned.
        workers: the most that work at once.
        kills: least number of kill -9 of workers.
        seconds: when that many must have happened.
    """

    seed: int
    datasets: int
    workers: int
    kills: int
    seconds: float


@dataclass
class Chaos:
    """One batch under attack."""

    plan: Plan
    crew: Fleet
    server: RedundantRedis
    queue: Queue
    disk: Path | None
    done: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    _alive: list[Worker] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)
    _pushed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.plan.seed)  # noqa: S311 - repeatable on purpose
        training = self.crew.share / "datasets/training"
        self.manifest = [f"datasets/training/{path.name}" for path in sorted(training.iterdir())]

    @property
    def kills(self) -> int:
        """Workers that died of kill -9."""
        return self.exits[-signal.SIGKILL]

    def attack(self) -> None:
        """Make trouble until there were enough kills, and each kind of trouble was seen."""
        deadline = time.monotonic() + self.plan.seconds
        wanted = {kind for kind in WEIGHTS if kind != "fill the disk" or self.disk}
        told = 0
        while self.kills < self.plan.kills or wanted - self.done.keys():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.kills} kills in {self.plan.seconds:.0f} s; {self.plan.kills} are wanted"
                )
            self._push()
            self._collect()
            self._due()
            if self.kills >= told + self.plan.kills / 10:
                told = self.kills
                print(f"{told} kills, {self.queue.status().committed} committed", flush=True)
            while len(self._alive) < self.random.randint(1, self.plan.workers):
                self._start()
            if self.random.random() < 0.3:
                missing = sorted(wanted - self.done.keys())
                late = self.kills > self.plan.kills // 2
                self._trouble(self.random.choice(missing) if missing and late else self._any())
            time.sleep(self.random.uniform(0.0, 0.05))

    def calm(self) -> None:
        """End all trouble and let one worker after the other finish what is left."""
        for _, act in self._later:
            act()
        self._later.clear()
        self.server.revive()
        self.server.wait_until_redundant()
        self._pushed = 0
        self._send(self.manifest)
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            self._collect()
            if not self._alive and self.queue.status().drained:
                return
            while len(self._alive) < min(2, self.plan.workers):
                self._alive.append(self.crew.start(None, **SETTINGS))
            assert time.monotonic() < deadline, "the batch does not end"
            time.sleep(0.05)

    def _push(self) -> None:
        """Keep work waiting, and something for later, until the last kill."""
        share = min(1.0, (self.kills + 1) / self.plan.kills)
        until = max(2, int(len(self.manifest) * share))
        if until <= self._pushed:
            return
        if self.server.is_redundant():
            self._send(self.manifest[self._pushed : until])
            self._pushed = until
        elif not self._busy:
            self.server.revive()

    def _send(self, datasets: list[str]) -> None:
        """Push to the primary that Sentinel names now; a push that is lost changes the order."""
        self.queue.close()
        self.queue.push(datasets)

    def _start(self) -> None:
        accident = None
        if self.random.random() < 0.8:
            step = self.random.choice(sorted(STEPS))
            accident = Accident(step, time=self.random.randint(1, 3))
        self._alive.append(self.crew.start(accident, **SETTINGS))

    def _collect(self) -> None:
        for worker in list(self._alive):
            if worker.process.exitcode is not None:
                self._alive.remove(worker)
                self.exits[worker.process.exitcode] += 1
                worker.process.join()

    def pause(self, seconds: float) -> None:
        """Wait for Redis, which may itself wait for the disk."""
        self._due()
        time.sleep(seconds)

    def _due(self) -> None:
        now = time.monotonic()
        for entry in [each for each in self._later if each[0] <= now]:
            self._later.remove(entry)
            entry[1]()

    def _any(self) -> str:
        return self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]

    def _trouble(self, kind: str) -> None:
        worker = self.random.choice(self._alive) if self._alive else None
        if kind in {"terminate", "stop for longer than the lease"} and self._alive:
            worker = self._alive[0]  # the oldest: it has begun to work
        happened = False
        match kind:
            case "kill worker" if worker:
                happened = self._signal(worker, signal.SIGKILL)
            case "kill worker and renewer" if worker:
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                    happened = True
            case "terminate" if worker:
                happened = self._signal(worker, signal.SIGTERM)
            case "stop for longer than the lease" if worker:
                happened = self._signal(worker, signal.SIGSTOP)
                pause = LEASE_SECONDS * self.random.uniform(1.2, 2.0)
                self._later.append((time.monotonic() + pause, partial(self._resume, worker)))
            case "kill Redis" | "kill Redis for good" | "fail over" if not self._busy:
                happened = self._lose_primary(kind)
            case "fill the disk" if self.disk and not self._busy:
                happened = self._fill_disk(self.disk)
            case "slow the disk" if not self._busy:
                happened = True
                self.crew.slow_disk.touch()
                self._for_a_while("slow", 3.0, self.crew.slow_disk.unlink)
        if happened:
            self.done[kind] += 1

    def _signal(self, worker: Worker, number: int) -> bool:
        if worker.process.exitcode is not None:
            return False
        with suppress(ProcessLookupError):
            worker.signal(number)
            return True
        return False

    def _resume(self, worker: Worker) -> None:
        self._signal(worker, signal.SIGCONT)

    def _lose_primary(self, kind: str) -> bool:
        if not self.server.is_redundant():
            return False
        if kind == "fail over":
            self.server.fail_over()
            return True
        if kind == "kill Redis":
            self.server.kill_primary()
            time.sleep(self.random.uniform(0.0, 1.0))  # the Sentinel gives it up after 0.5 s
        else:
            self.server.lose_primary()
        self.server.start_killed()
        return True

    def _fill_disk(self, disk: Path) -> bool:
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(bytes(1 << 20))
        self._for_a_while("full", 3.0, ballast.unlink)
        return True

    def _for_a_while(self, what: str, seconds: float, end: Callable[[], None]) -> None:
        self._busy.add(what)

        def over() -> None:
            self._busy.discard(what)
            end()

        self._later.append((time.monotonic() + self.random.uniform(0.5, seconds), over))


def main() -> int:
    """Return the exit code: 0 when nothing was lost, done twice or done differently."""
    parser = argparse.ArgumentParser(prog="python -m proofs.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=45.0, help="limit for the kills")
    options = parser.parse_args()
    if _in_own_mounts():
        words = [
            "unshare",
            "--mount",
            sys.executable,
            "-m",
            "proofs.chaos",
            *sys.argv[1:],
            "--seed",
            str(options.seed),
        ]
        os.execvpe(words[0], words, {**os.environ, "CHAOS_OWN_MOUNTS": "1"})  # noqa: S606
    plan = Plan(
        options.seed, options.datasets, options.workers, options.kills, options.minutes * 60
    )
    print(
        f"Chaos with seed {plan.seed}: {plan.datasets} datasets, up to {plan.workers} workers, "
        f"{plan.kills} kills",
        flush=True,
    )
    begin = time.monotonic()
    chaos = run(plan)
    for kind, times in sorted(chaos.done.items()):
        print(f"{times:6} x {kind}")
    for code, times in sorted(chaos.exits.items()):
        print(f"{times:6} x exit {signal.Signals(-code).name if code < 0 else code}")
    if not chaos.disk:
        print("Not done: fill the disk; that needs root and mount namespaces")
    print(
        f"{chaos.kills} kills -9 of workers; ledger = manifest ({plan.datasets}), one chain, each "
        f"dataset once, last checkpoint as in the quiet run; {time.monotonic() - begin:.0f} s"
    )
    return 0


def _in_own_mounts() -> bool:
    """Return whether to start over where a mount ends with this process."""
    if os.environ.get("CHAOS_OWN_MOUNTS") or os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


def run(plan: Plan) -> Chaos:
    """Make the quiet run, the attacked run and the comparison."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        datasets = home / "datasets"
        for number in range(plan.datasets):
            date = START + dt.timedelta(number)
            write_day(datasets / "training" / f"{date}.pkl", number, START)
        write_day(datasets / "testing/test_dataset.pkl", plan.datasets, START)
        expected = _quiet(home, datasets)
        disk = _small_disk(home, stack)
        root = disk or home
        shutil.copytree(datasets, root / "share/datasets")
        (home / "logs").mkdir()
        server = stack.enter_context(RedundantRedis(root / "redis"))
        crew = stack.enter_context(fleet(root / "share", server))
        crew.logs = home / "logs"
        crew.slow_disk = home / "slow-disk"
        queue = Queue(connect(server.url))
        chaos = Chaos(plan, crew, server, queue, disk)
        queue.retry_policy = RetryPolicy(60.0, chaos.pause)
        try:
            chaos.attack()
            chaos.calm()
            _verify(chaos, expected)
        except BaseException:
            _tell(chaos)
            raise
        finally:
            queue.close()
        return chaos


def _small_disk(home: Path, stack: ExitStack) -> Path | None:
    """Return a file system of its own in memory; None where none can be mounted."""
    if not os.environ.get("CHAOS_OWN_MOUNTS"):
        return None
    disk = home / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)]
    if subprocess.run(words, check=False).returncode != 0:
        return None
    stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
    return disk


def _quiet(home: Path, datasets: Path) -> str:
    """Return the hash of the last checkpoint when one worker is left in peace."""
    share = home / "quiet/share"
    shutil.copytree(datasets, share / "datasets")
    with EmbeddedRedis(home / "quiet/redis") as server, fleet(share, server) as crew:
        queue = Queue(connect(server.url))
        names = sorted(path.name for path in (datasets / "training").iterdir())
        queue.push([f"datasets/training/{name}" for name in names])
        queue.close()
        worker = crew.start()
        worker.process.join(QUIET_SECONDS)
        assert worker.process.exitcode == 0, worker.log.read_text()[-2000:]
    lines = read_ledger(share / "output/ledger.jsonl")
    assert len(lines) == len(names)
    return str(lines[-1]["checkpoint"])


def _verify(chaos: Chaos, expected: str) -> None:
    output = chaos.crew.share / "output"
    lines = read_ledger(output / "ledger.jsonl")
    commits = [commit.record["checkpoint"] for commit in chaos.queue.commits()]
    assert [line["dataset"] for line in lines] == chaos.manifest, "ledger = manifest, once each"
    assert [line["order"] for line in lines] == list(range(1, len(lines) + 1))
    checkpoints = [line["checkpoint"] for line in lines]
    assert [line["base"] for line in lines] == [None, *checkpoints[:-1]], "one chain"
    assert checkpoints == commits, "ledger = Redis"
    for line in lines:
        content = (output / line["checkpoint_file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line["checkpoint"]
    status = chaos.queue.status()
    assert status.drained
    assert not status.dead
    assert status.halted is None
    assert checkpoints[-1] == expected, "the quiet run's last checkpoint"
    before_it_listens = -signal.SIGTERM
    lost = int(ExitCode.INCOMPLETE)
    assert chaos.exits.keys() <= {0, 1, lost, 75, -signal.SIGKILL, before_it_listens}, chaos.exits
    for worker in chaos.crew.workers:
        if worker.process.exitcode == lost:  # the chain began anew on a server without its commits
            log = worker.log.read_text("utf-8", "replace")
            assert "datasets are neither learned nor queued" in log, log


def _tell(chaos: Chaos) -> None:
    """Print what is needed to understand a failure."""
    print(f"seed {chaos.plan.seed}: {dict(chaos.done)} {dict(chaos.exits)}")
    for worker in chaos.crew.workers[-3:]:
        if worker.log.exists():
            print(worker.log.read_text("utf-8", "replace")[-2000:])


if __name__ == "__main__":
    sys.exit(main())

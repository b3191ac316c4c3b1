"""`workload run`: the whole batch on this machine, supervised like a Kubernetes Job."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty as NoLine
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from workload.engine.ledger import Projector, committed, headline, ledger_line
from workload.engine.numeric import pinned_environment
from workload.engine.processes import cause_of_death, module_environment, python
from workload.engine.reconcile import reconcile
from workload.errors import ExitCode, HandedBack, UsageError, WorkloadError
from workload.queue import Queue, RetryPolicy, connect
from workload.share.listing import training_datasets
from workload.share.store import Share
from workload.trainers.identity import require_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType
    from typing import Any

    from workload.local.redis_server import EmbeddedRedis
    from workload.queue import Status

MAX_REPLACEMENTS = 20
"""Killed workers replaced in one run."""

LEAVE_SECONDS = 15.0
"""For workers to leave by themselves, once the queue is drained or halted."""

_LOOK_SECONDS = 0.25
_HAND_BACK_SECONDS = 5.0
_REDIS_SECONDS = 30.0
VISIBILITY_SECONDS = 2.0
"""A local directory has no caches: what is not there after this will not come."""


class Display(Protocol):
    """What the user sees while the batch runs."""

    def line(self, text: str) -> None:
        """Show one line that stays."""

    def update(self, progress: RunProgress) -> None:
        """Show how far the batch is."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is."""

    datasets: int
    committed: int
    rows: int
    rows_per_second: float
    headline: str
    attempts: int
    dead: int
    workers: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    exit_code: ExitCode
    status: Status
    ledger: list[dict[str, Any]]
    learned: int
    seconds: float
    replaced: int


@dataclass(slots=True)
class _Process:
    """A worker process and the thread that reads what it prints."""

    name: str
    process: subprocess.Popen[str]


@dataclass(slots=True)
class Supervisor:
    """Keep `workers` worker processes alive until the queue is drained.

    Args:
        share: root of the share.
        workers: how many processes.
        display: where progress goes.
        trainer: what learns, as in the workers' settings.
        server: the share's Redis; started again when it dies.
        clock: seconds that never go back.
    """

    share: Share
    workers: int
    display: Display
    trainer: str
    server: EmbeddedRedis
    clock: Callable[[], float] = time.monotonic
    _processes: list[_Process] = field(default_factory=list)
    _lines: SimpleQueue[str] = field(default_factory=SimpleQueue)
    _started: int = 0
    _replaced: int = 0
    _exit_code: ExitCode = ExitCode.DONE

    def run(self) -> Outcome:
        """Queue what is on the share and work until nothing is left.

        Raises:
            WorkloadError: workers kept dying, or the share became unusable.
            UsageError: the share's chain is another trainer's.
            HandedBack: SIGTERM or SIGINT came.
        """
        begin = time.monotonic()
        queue = Queue(
            connect(self.server.url), retry_policy=RetryPolicy(_REDIS_SECONDS, on_away=self._revive)
        )
        self.share.probe_writable()
        reconcile(queue, self.share)
        for commit in committed(queue, -1):
            require_setting(self.trainer, commit.record)
        datasets = training_datasets(self.share.root)
        length, verdicts = queue.push(datasets)
        fresh = sum(verdict == "pushed" for verdict in verdicts.values())
        self.display.line(f"Queue length: {length} ({fresh} new of {len(datasets)} datasets)")
        status = queue.status()
        before = status.committed
        projector = Projector(self.share, queue)
        if not status.drained and not status.halted:
            with _stopped_by_signals():
                try:
                    self._supervise(queue, before, len(datasets))
                finally:
                    self._stop()
        reconcile(queue, self.share)
        lines = projector.project()
        status = queue.status()
        finished = {line["dataset"] for line in lines} | {each.dataset for each in status.dead}
        left = len(set(datasets) - finished) if status.drained else 0
        if left:
            self.display.line(
                f"Redis lost its queue: {left} datasets are not learned; the same command does that"
            )
        if status.halted or status.dead or left:
            self._exit_code = ExitCode.INCOMPLETE
        return Outcome(
            self._exit_code,
            status,
            lines,
            status.committed - before,
            time.monotonic() - begin,
            self._replaced,
        )

    def _supervise(self, queue: Queue, before: int, datasets: int) -> None:
        seen: list[dict[str, Any]] = []
        leave_by = math.inf
        for _ in range(self.workers):
            self._start()
        while self._processes and self.clock() < leave_by:
            self._show_lines()
            for worker in list(self._processes):
                code = worker.process.poll()
                if code is not None:
                    self._processes.remove(worker)
                    self._ended(worker, code)
            seen += map(ledger_line, committed(queue, before + len(seen)))
            status = queue.status()
            self.display.update(_progress(seen, status, datasets, self.workers))
            if not (status.drained or status.halted):
                leave_by = math.inf
            elif leave_by == math.inf:
                leave_by = self.clock() + LEAVE_SECONDS
        self._show_lines(at_most=0)
        for worker in self._processes:
            self.display.line(
                f"[{worker.name}] is stopped or hangs, and nothing is left to do: ending it, "
                f"pid={worker.process.pid}"
            )

    def _start(self) -> None:
        self._started += 1
        name = f"worker-{self._started}"
        environment = {
            **module_environment(),
            **pinned_environment(),
            "WORKLOAD_SHARE": str(self.share.root),
            "WORKLOAD_REDIS_URL": self.server.url,
            "WORKLOAD_TRAINER": self.trainer,
            "WORKLOAD_WRITE_REPORT": "false",
            "PYTHONUNBUFFERED": "1",
        }
        for password in ("REDIS_PASSWORD", "REDIS_PASSWORD_FILE"):  # the run's own Redis has none
            environment.pop(password, None)
        environment.setdefault("WORKLOAD_VISIBILITY_SECONDS", str(self.share.visibility_seconds))
        process = subprocess.Popen(  # noqa: S603 - this package
            python("workload", "work", "--until-stdin-closes"),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(name, process), daemon=True).start()
        self._processes.append(_Process(name, process))
        self.display.line(f"[{name}] started: pid={process.pid}")

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._lines.put(f"[{name}] {line.rstrip()}")

    def _show_lines(self, at_most: float = _LOOK_SECONDS) -> None:
        """Show the workers' lines, waiting at most `at_most` seconds for the first."""
        try:
            self.display.line(self._lines.get(timeout=at_most or None, block=at_most > 0))
            while True:
                self.display.line(self._lines.get_nowait())
        except NoLine:
            pass

    def _ended(self, worker: _Process, code: int) -> None:
        """Replace a dead worker; the others are told nothing, the queue knows."""
        if code in (ExitCode.DONE, ExitCode.INCOMPLETE):
            return
        if code in (ExitCode.USAGE, ExitCode.FAILED):  # it has waited for all that may pass
            error = UsageError if code == ExitCode.USAGE else WorkloadError
            raise error(
                f"{worker.name} gave up, its last line says why; nothing is lost, run the same "
                "command again once the cause is fixed"
            )
        self._replaced += 1
        if self._replaced > MAX_REPLACEMENTS:
            raise WorkloadError(
                f"{self._replaced} workers died (the last: {cause_of_death(code)}); nothing is "
                "lost, run the same command again once the cause is fixed"
            )
        self.display.line(f"[{worker.name}] died ({cause_of_death(code)}), starting another")
        self._start()

    def _revive(self, _error: Exception, _seconds: float) -> None:
        if self.server.revive():
            self.display.line("Redis died and was started again")

    def _stop(self) -> None:
        """Have every worker hand back its work; kill those that take too long."""
        for worker in self._processes:
            worker.process.terminate()
            worker.process.send_signal(signal.SIGCONT)  # one that was stopped hands back, too
        self._show_lines(at_most=_LOOK_SECONDS)
        deadline = time.monotonic() + _HAND_BACK_SECONDS
        for worker in self._processes:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._processes.clear()
        self._show_lines(at_most=_LOOK_SECONDS / 5)


def local_share(root: Path) -> Share:
    """Return the share of a run on this machine; make its directory if there is none.

    Raises:
        UsageError: `root` can't be a directory.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"{root}: can't be made a share ({reason}); name a directory") from error
    return Share(root.resolve(), VISIBILITY_SECONDS)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise HandedBack("stopped; all work is handed back, the same command resumes")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(
    seen: Sequence[dict[str, Any]], status: Status, datasets: int, workers: int
) -> RunProgress:
    # From the first claim to the last commit: neither start-up nor the end is work.
    seconds = seen[-1]["committed"] - seen[0]["started"] if seen else 0.0
    rows = sum(line["rows"] for line in seen)
    figures = list(headline(seen[-1]).items()) if seen else []
    return RunProgress(
        datasets=datasets,
        committed=status.committed,
        rows=rows,
        rows_per_second=rows / seconds if seconds > 0 else 0.0,
        headline=" ".join(figures[-1]).replace("_", " ") if figures else "",
        attempts=sum(line["attempts"] + line["crashes"] for line in seen),
        dead=len(status.dead),
        workers=workers,
    )

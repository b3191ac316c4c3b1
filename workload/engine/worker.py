"""One worker: claim, prepare, wait for the turn, train, write, commit, publish; until drained.

Everything a worker does before its commit can be thrown away, and everything after it can be done
again by anyone. Whatever kills it, the next claim of the same dataset starts from the same bytes.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workload.engine.chain import ChainState, Dataset, read, train
from workload.engine.checkpoints import CheckpointStore
from workload.engine.lease_keeper import LeaseKeeper, LostLeases
from workload.engine.ledger import Projector, committed, headline
from workload.engine.records import ledger_record
from workload.engine.recovery import Recovery
from workload.engine.reporting import refresh_report
from workload.engine.signals import in_this_process
from workload.engine.stopwatch import Stopwatch
from workload.engine.testing_set import TestingSet
from workload.errors import (
    ChainForgotten,
    ChainHalted,
    DatasetFailed,
    DatasetRefused,
    ExitCode,
    LeaseLost,
    QueueUnavailable,
    Terminated,
    WorkloadError,
    spoken,
)
from workload.queue import Claimed, Empty, Halted, Queue, RetryPolicy, Torn, Turn, Wait, connect
from workload.share.dataset_file import name_date
from workload.share.store import Share
from workload.trainers import loading
from workload.trainers.identity import require_identity

if TYPE_CHECKING:
    from typing import Any

    from workload.engine.settings import Settings
    from workload.engine.signals import Termination
    from workload.queue import Answer, Head, Lease
    from workload.trainers.protocol import Trainer

log = logging.getLogger("workload")

_LOOK_AGAIN_SECONDS = 1.0
"""How often a worker with nothing to do looks for datasets pushed while others still work."""

_LONGEST_BACKOFF_SECONDS = 10.0


def work(settings: Settings, termination: Termination) -> ExitCode:
    """Work until the queue is drained; return the exit code of the command.

    Args:
        settings: how and where to work.
        termination: installed signal handlers.

    Raises:
        WorkloadError: something only an operator can mend; all claimed datasets are handed back.
        Terminated: after SIGTERM or SIGINT.
    """
    trainer = loading.load(settings.trainer)
    queue = Queue(
        connect(
            settings.redis_url,
            settings.redis_password.get_secret_value() if settings.redis_password else None,
        ),
        settings.limits,
        RetryPolicy(settings.redis_wait_seconds, termination.pause),
    )
    share = Share(settings.share, settings.visibility_seconds, termination.pause)
    log.info("Worker with sessionID: %s", queue.session)
    share.probe_writable()
    queue.verify_server()
    with LeaseKeeper(settings, queue.session) as keeper:
        worker = Worker(settings, trainer, queue, share, keeper, termination)
        try:
            return worker.run()
        except BaseException:
            worker.leave()
            raise


@dataclass(slots=True)
class Worker:
    """The loop of one worker; all its dependencies are given."""

    settings: Settings
    trainer: Trainer[Any, Any]
    queue: Queue
    share: Share
    keeper: LeaseKeeper
    termination: Termination
    _state: ChainState[Any] | None = None
    _projector: Projector = field(init=False)
    _recovery: Recovery = field(init=False)
    _testing: TestingSet = field(init=False)
    _lost: LostLeases = field(default_factory=LostLeases)
    _waiting_since: float = 0.0
    _announced: bool = False

    def __post_init__(self) -> None:
        self._projector = Projector(self.share, self.queue)
        self._recovery = Recovery(self.queue, self.share)
        self._testing = TestingSet(self.share, self.trainer)
        self.queue.retry_policy.on_away = self._note_absence

    def run(self) -> ExitCode:
        """Work until the queue is drained or halted."""
        self._recovery.run()
        self._check_chain()
        log.info("Initial queue state: empty=%s", self.queue.status().drained)
        self._waiting_since = time.monotonic()
        while True:
            try:
                code = self._step(self._claim())
            except ChainForgotten as error:
                log.warning("Redis lost data, starting over: reason=%s", error)
                self._recovery.due = True
                self._lost.clear()
                self._recovery.run()
                self.queue.hand_back()
                continue
            if code is not None:
                return code

    def _step(self, answer: Answer) -> ExitCode | None:
        """Do what the queue answers; return the exit code when there is nothing left to do."""
        match answer:
            case Claimed(lease, turn):
                self._process(lease, turn)
            case Turn():
                pass  # only a holder is told so
            case Wait() as wait:
                self.queue.wait_for_event(wait, _LOOK_AGAIN_SECONDS)
            case Empty(processing=0, filled=True):
                return self._finish()
            case Empty(processing=0):
                self._wait_for_first()
            case Empty(wait=wait):
                self._projector.project()
                self.queue.wait_for_event(wait, _LOOK_AGAIN_SECONDS)
            case Halted(dataset, reason):
                log.error("Chain halted: dataset=%s reason=%s", dataset, reason)
                self._projector.project()
                return ExitCode.INCOMPLETE
            case Torn():
                raise ChainForgotten("keys are gone")
        return None

    def _check_chain(self) -> None:
        """Raise UsageError when the chain is another trainer's, before anything is claimed."""
        for commit in committed(self.queue, -1):
            require_identity(self.trainer, commit.record)

    def _note_absence(self, error: Exception, seconds: float) -> None:
        self._recovery.due = True
        self._lost.clear()
        if seconds == 0:
            log.warning("Redis is away, waiting: reason=%s", " ".join(str(error).split()))

    def leave(self) -> None:
        """Hand back what this session holds and publish what is committed.

        If Redis is away, the leases expire by themselves and another worker publishes.
        """
        self.queue.close()
        self.queue.retry_policy = RetryPolicy(0.0)
        with suppress(WorkloadError, OSError):
            for dataset in self.queue.hand_back():
                log.info("Handed back: dataset=%s", dataset)
            self._projector.project()

    def _claim(self, holding: Lease | None = None) -> Answer:
        """Claim and, before a signal can end the process, have the lease renewed."""
        if holding is None:
            self._recovery.run()
        with self.termination.deferred():
            answer = self.queue.claim(holding)
            if isinstance(answer, Claimed):
                self.keeper.hold(answer.lease)
        return answer

    def _process(self, lease: Lease, turn: Turn | None) -> None:
        """Take one claimed dataset to its end: committed, refused, failed or lost."""
        log.info("Processing dataset: %s", lease.dataset)
        started, clock = time.time(), Stopwatch()
        try:
            self._lost.raise_if_repeated(lease)
            with in_this_process():
                dataset = self._prepare(lease)
                clock.lap("prepare")
                head = turn.head if turn else self._wait_for_turn(lease)
                clock.lap("wait")
                self._train_and_commit(lease, head, dataset, clock, started)
        except DatasetRefused as error:
            log.warning("Dataset refused: dataset=%s reason=%s", lease.dataset, error)
            with self._lost.noting(lease):
                self.queue.refuse(lease, str(error))
        except LeaseLost as error:
            log.warning("Lease lost, starting over: dataset=%s reason=%s", lease.dataset, error)
            self._state = None
            self._lost.note(lease)
        except DatasetFailed as error:
            self._fail(lease, str(error), error.attempts)
        except (WorkloadError, Terminated):
            raise  # not the dataset's fault
        except BaseException as error:  # noqa: BLE001 - counted, so that it halts the chain visibly
            self._fail(lease, spoken(error))
        finally:
            self.keeper.drop(lease)
        try:
            self._projector.project(force=False)
        except (DatasetFailed, OSError) as error:  # it is committed; whoever ends publishes again
            log.warning("Not published yet: reason=%s", error)

    def _prepare(self, lease: Lease) -> Dataset[Any]:
        """Read and check the dataset: all that needs no turn."""
        with suppress(FileNotFoundError):
            self.share.dataset_path(lease.dataset)
        date = name_date(lease.dataset)  # what is wrong with a name is wrong without its file

        def look() -> Dataset[Any]:
            path = self.share.dataset_path(lease.dataset)
            return read(self.trainer, path, lease.dataset, date)

        dataset = self.share.wait_until_visible(lease.dataset, look)
        self.keeper.raise_if_lost(lease)
        return dataset

    def _wait_for_turn(self, lease: Lease) -> Head:
        """Wait until every earlier dataset is finished; work on one that was given up."""
        while True:
            self.keeper.raise_if_lost(lease)
            match self._claim(holding=lease):
                case Turn(head):
                    return head
                case Claimed(earlier, turn):
                    self._process(earlier, turn)
                case Wait() as wait:
                    self.queue.wait_for_event(wait, self.settings.renew_seconds)
                case Torn():
                    raise ChainForgotten("keys are gone")
                case Empty():
                    pass  # only a worker that holds nothing is told so
                case Halted(dataset, reason):
                    raise ChainHalted(f"chain halted: dataset={dataset} reason={reason}")

    def _train_and_commit(
        self, lease: Lease, head: Head, dataset: Dataset[Any], clock: Stopwatch, started: float
    ) -> None:
        base = self._base(head)
        self._recovery.require_head(base)
        testing, untested = self._testing.after(base, lease.dataset)
        self.keeper.raise_if_lost(lease)
        state, content = train(self.trainer, base, dataset, testing=testing, untested=untested)
        record = ledger_record(state.record)
        self.keeper.raise_if_lost(lease)
        clock.lap("train")
        checkpoint = CheckpointStore(self.share).write(content)
        clock.lap("write")
        record |= {
            "checkpoint": checkpoint,
            "worker": self.queue.session,
            "seconds": clock.seconds,
            "started": started,
        }
        self.queue.complete(lease, head.checkpoint, checkpoint, state.record["date"], record)
        self._state = state
        log.info(
            "Committed: dataset=%s rows=%d %sseconds=%.3f checkpoint=%s",
            lease.dataset,
            dataset.data.rows,
            "".join(f"{name}={figure} " for name, figure in headline(record).items()),
            clock.total,
            checkpoint[:12],
        )

    def _base(self, head: Head) -> ChainState[Any]:
        """Return the state that the head names: in memory, or from the share."""
        if head.checkpoint is None or head.dataset is None:
            return ChainState.start(self.trainer)
        if self._state is None or self._state.checkpoint != head.checkpoint:
            content = CheckpointStore(self.share).read(head.checkpoint, head.dataset)
            what = f"checkpoint of {head.dataset}"
            try:
                self._state = ChainState.from_bytes(self.trainer, content, what)
            except ValueError as error:
                raise DatasetFailed(str(error)) from error
        return self._state

    def _fail(self, lease: Lease, reason: str, limit: int | None = None) -> None:
        """Count a failed attempt, after a pause that grows with the attempts."""
        reason = " ".join(reason.split())
        log.warning("Dataset failed: dataset=%s reason=%s", lease.dataset, reason)
        backoff = min(2.0**lease.attempts, _LONGEST_BACKOFF_SECONDS, self.settings.lease_seconds)
        self.termination.pause(backoff)
        with self._lost.noting(lease):
            outcome, attempts = self.queue.fail(lease, reason, limit)
            log.warning("%s: dataset=%s attempts=%d", outcome.title(), lease.dataset, attempts)

    def _wait_for_first(self) -> None:
        """Wait until a queue that never held anything holds something."""
        if self._recovery.chain_is_there():
            raise ChainForgotten("the queue is gone")
        waited = time.monotonic() - self._waiting_since
        if not self._announced:
            log.info("Waiting for the first dataset")
            self._announced = True
        seconds = self.settings.first_dataset_wait_seconds - waited
        if seconds <= 0:
            raise QueueUnavailable(
                "no dataset was ever queued in "
                f"{self.settings.first_dataset_wait_seconds:.0f} s; push some and start again"
            )
        self.queue.wait_for_push(seconds)

    def _finish(self) -> ExitCode | None:
        """Leave the share complete: ledger, checkpoints' names, reports; None to look again."""
        lines = self._projector.project()
        status = self.queue.status()
        if not status.drained or status.committed != len(lines):
            return None
        if self.settings.write_report:
            refresh_report(self.share, lines, status.dead, self.trainer.name)
        for letter in status.dead:
            log.warning("Dead letter: dataset=%s reason=%s", letter.dataset, letter.reason)
        known = {line["dataset"] for line in lines} | {each.dataset for each in status.dead}
        left = self._recovery.unqueued(known)
        if left:
            log.error(
                "Redis had lost its queue: %d datasets are neither learned nor queued; "
                "`workload queue rebuild` queues them",
                left,
            )
        log.info("Queue empty, exiting")
        return ExitCode.INCOMPLETE if status.dead or left else ExitCode.DONE

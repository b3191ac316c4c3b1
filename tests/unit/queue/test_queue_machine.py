"""The queue under random histories: after every command Redis and a plain model must agree.

Workers die, stop and lose replies between any two commands; Redis is killed, and comes back whole
or without its last commands; strangers push and take; clocks jump. Nothing here waits for time: a
lease runs out when the history says so.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.queue_model import Model
from workload.engine.checkpoints import CheckpointStore
from workload.engine.ledger import Projector, read_ledger
from workload.engine.reconcile import reconcile
from workload.engine.records import checkpoint_name
from workload.errors import ChainForgotten, LeaseLost
from workload.local.redis_server import EmbeddedRedis
from workload.queue import (
    Claimed,
    Empty,
    Halted,
    Lease,
    Limits,
    Queue,
    RetryPolicy,
    Turn,
    Wait,
    connect,
)
from workload.share.store import Share

DATASETS = [f"2018-04-0{day}.pkl" for day in range(1, 7)]
LIMITS = Limits(lease_seconds=3600.0, max_attempts=3, crash_limit=4)
MARKER = b"history"
RESTARTS = 2
"""How often one history may restart Redis; it takes longer than all the rest."""

HISTORIES = settings(
    max_examples=int(os.environ.get("HISTORIES", "20")),
    stateful_step_count=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # shrinking would restart Redis for hours
    suppress_health_check=list(HealthCheck),
)
real_time = time.time


@dataclass
class Worker:
    """One process: its session, and the datasets it holds, each with the head of its turn."""

    queue: Queue
    held: list[Lease] = field(default_factory=list)
    turn: Turn | None = None
    must_reconcile: bool = True

    @property
    def top(self) -> Lease:
        return self.held[-1]


class Histories(RuleBasedStateMachine):
    """One history of the queue, its workers, its Redis and the share."""

    server: ClassVar[EmbeddedRedis]
    always: ClassVar[bool]
    """Whether Redis syncs before it answers."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="history-"))
        (self.root / "output").mkdir()
        self.share = Share(self.root, visibility_seconds=0.0)
        self.stranger = connect(self.server.url)
        self.stranger.flushall()
        self.model = Model()
        self.tokens: set[str] = set()
        self.past: list[Model] = []
        self.restarts = 0
        self.workers = [self._worker() for _ in range(3)]
        self.operator = self._worker().queue
        self._remember()
        self.operator_pushes_all()

    def teardown(self) -> None:
        """Let one worker that nothing happens to finish everything in the end."""
        time.time = real_time
        if hasattr(self, "root"):
            try:
                self._drain()
            finally:
                self._close()

    def _close(self) -> None:
        if self.root.exists():
            for queue in [self.operator, *(worker.queue for worker in self.workers)]:
                queue.close()
            self.stranger.close()
            shutil.rmtree(self.root)

    # --- pushing and the operator ---

    @rule(dataset=st.sampled_from(DATASETS))
    def anyone_pushes(self, dataset: str) -> None:
        self.stranger.rpush("datasets", dataset)
        self.model.waiting.append(dataset)
        self._remember()

    @rule()
    def operator_pushes_all(self) -> None:
        self.operator.push(DATASETS)
        for dataset in DATASETS:
            self.model.push(dataset)
        self._remember()

    @rule(newest=st.booleans())
    def stranger_takes(self, *, newest: bool) -> None:
        """Take a dataset as the tutorial's worker does, without a lease."""
        end = "RIGHT" if newest else "LEFT"
        taken = self.stranger.lmove("datasets", "datasets:processing", end, "LEFT")
        if taken is not None:
            self.model.processing.insert(0, self.model.waiting.pop(-1 if newest else 0))
            self._remember()

    @rule(dataset=st.sampled_from(DATASETS))
    def operator_skips(self, dataset: str) -> None:
        model = self.model
        copies = model.waiting.count(dataset)
        skipped = self.operator.skip(dataset, "by hand")
        model.waiting = [each for each in model.waiting if each != dataset]
        if dataset in model.done:
            assert skipped == (model.done[dataset] == "skipped")
        else:
            assert skipped == bool(copies or dataset in model.claims)
            if skipped:
                model.finish(dataset, "skipped")
        self._remember()

    @rule()
    def operator_retries(self) -> None:
        self.operator.retry()
        halted, self.model.halted = self.model.halted, None
        if halted:
            self.model.attempts.pop(halted, None)
            self.model.crashes.pop(halted, None)
            self._remember()

    # --- workers ---

    @rule(steps=st.lists(st.integers(0, 2), min_size=1, max_size=8), reply_lost=st.booleans())
    def workers_go_on(self, steps: list[int], *, reply_lost: bool) -> None:
        """Do as workers to which nothing happens: claim, ask for the turn, fold, commit."""
        for number in steps:
            if self.workers[number].turn:
                self.worker_folds_and_commits(number, reply_lost=reply_lost)
            else:
                self.worker_claims(number, reply_lost=reply_lost)
            self.redis_and_the_model_agree()

    def worker_claims(self, number: int, *, reply_lost: bool) -> None:
        worker = self.workers[number]
        if worker.turn:
            return
        if not worker.held and worker.must_reconcile:
            self._reconcile(worker)
            return
        holding = worker.top if worker.held else None
        answer: object
        try:
            answer = worker.queue.claim(holding)
        except LeaseLost:
            answer = None
        held = (holding.dataset, holding.token) if holding else (None, "")
        kind, dataset = self.model.claim(LIMITS.crash_limit, *held)
        match kind, answer:
            case "take", Claimed(lease, turn):
                self._takes(dataset, lease)
                assert (turn is not None) == (self.model.first() == dataset)
                if reply_lost:
                    self._asks_again(worker, lease, holding)
                worker.held.append(lease)
                worker.turn = turn
            case "turn", Turn(head):
                assert head.checkpoint == self.model.head
                worker.turn = Turn(head)
            case "lost", None:
                worker.held.pop()
            case "halted", Halted(halted, _):
                assert halted == dataset
            case ("wait", Wait()) | ("empty", Empty()):
                pass
            case _:
                raise AssertionError(f"{answer} instead of {kind} {dataset}")
        self._remember()

    def _takes(self, dataset: str, lease: Lease) -> None:
        assert lease.dataset == dataset
        assert lease.token not in self.tokens
        self.tokens.add(lease.token)
        self.model.grant(dataset, lease.token)
        assert lease.order == self.model.places[dataset]
        assert lease.attempts == self.model.attempts.get(dataset, 0)
        assert lease.crashes == self.model.crashes.get(dataset, 0)

    def _asks_again(self, worker: Worker, lease: Lease, holding: Lease | None) -> None:
        """Send the same request once more, as after a broken connection."""
        request = lease.token.partition(".")[2]
        held = (holding.dataset, holding.token) if holding else ("", "")
        limits = (round(LIMITS.lease_seconds * 1000), LIMITS.crash_limit)
        reply = worker.queue._run("claim", request, *limits, *held, 1)
        assert reply[1:3] == [lease.dataset, lease.token], reply

    def worker_folds_and_commits(self, number: int, *, reply_lost: bool) -> None:
        worker = self.workers[number]
        if not worker.turn:
            return
        if worker.must_reconcile and self._reconcile(worker):
            return
        lease, head = worker.held.pop(), worker.turn.head
        worker.turn = None
        if head.dataset is not None and lease.dataset <= head.dataset:
            self._refuses(worker, lease)
        else:
            self._commits(worker, lease, head.checkpoint, reply_lost=reply_lost)

    @rule(number=st.integers(0, 2), on_head=st.booleans())
    def confused_worker_commits_without_its_turn(self, number: int, *, on_head: bool) -> None:
        worker, model = self.workers[number], self.model
        if worker.held and not worker.turn:
            chain = [None, *(checkpoint for _, checkpoint in model.commits)]
            base = chain[-1] if on_head or len(chain) == 1 else chain[-2]
            if not model.commits or worker.top.dataset > model.commits[-1][0]:
                self._commits(worker, worker.held.pop(), base, reply_lost=False)

    def _commits(self, worker: Worker, lease: Lease, base: str | None, *, reply_lost: bool) -> None:
        content = json.dumps([base, lease.dataset]).encode()
        checkpoint = CheckpointStore(self.share).write(content)
        record = {
            "order": len(self.model.commits) + 1,
            "dataset": lease.dataset,
            "date": lease.dataset.removesuffix(".pkl"),
            "sha256": "0" * 64,
            "base": base,
            "checkpoint": checkpoint,
            "checkpoint_file": checkpoint_name(lease.dataset),
            "trainer": "any",
            "headline": [],
            "options": {},
        }
        expected = self.model.commit(lease.dataset, lease.token, base, checkpoint)
        for _ in range(1 + reply_lost):
            try:
                worker.queue.complete(lease, base, checkpoint, lease.dataset, record)
            except LeaseLost:
                assert not expected
            else:
                assert expected
        self._remember()

    @rule(number=st.integers(0, 2))
    def worker_fails(self, number: int) -> None:
        worker = self.workers[number]
        if not worker.held:
            return
        lease, model = worker.held.pop(), self.model
        worker.turn = None
        if model.claims.get(lease.dataset) != lease.token:
            with pytest.raises(LeaseLost):
                worker.queue.fail(lease, "I/O")
            return
        outcome, attempts = worker.queue.fail(lease, "I/O")
        model.put_back(lease.dataset)
        model.attempts[lease.dataset] = model.attempts.get(lease.dataset, 0) + 1
        assert attempts == model.attempts[lease.dataset]
        assert (outcome == "halted") == (attempts >= LIMITS.max_attempts)
        if outcome == "halted":
            model.halted = lease.dataset
        self._remember()

    @rule(number=st.integers(0, 2))
    def worker_refuses(self, number: int) -> None:
        worker = self.workers[number]
        if worker.held:
            lease, worker.turn = worker.held.pop(), None
            self._refuses(worker, lease)

    def _refuses(self, worker: Worker, lease: Lease) -> None:
        if self.model.claims.get(lease.dataset) == lease.token:
            worker.queue.refuse(lease, "bad")
            self.model.finish(lease.dataset, "refused")
        else:
            with pytest.raises(LeaseLost):
                worker.queue.refuse(lease, "bad")
        self._remember()

    @rule(number=st.integers(0, 2), late=st.booleans())
    def worker_renews(self, number: int, *, late: bool) -> None:
        worker = self.workers[number]
        if late and worker.held:
            self.lease_runs_out(worker.top.dataset)
        lost = worker.queue.renew([(lease.dataset, lease.token) for lease in worker.held])
        for lease in worker.held:
            if self.model.claims.get(lease.dataset) == lease.token:
                self.model.leases[lease.dataset] = False
                assert lease.token not in lost
            else:
                assert lease.token in lost
        self._remember()

    @rule(number=st.integers(0, 2), how=st.sampled_from(["handed back", "reported", "vanished"]))
    def worker_ends(self, number: int, how: str) -> None:
        """End one by SIGTERM, by kill -9 with a renewer that lives, or with all of its machine."""
        worker, model = self.workers[number], self.model
        if how != "vanished":
            mine = [
                dataset
                for dataset, token in model.claims.items()
                if token.split(".")[1] == worker.queue.session
            ]
            verb = worker.queue.hand_back if how == "handed back" else worker.queue.report_crash
            returned = verb()
            assert sorted(returned) == sorted(mine)
            for dataset in returned:
                model.put_back(dataset) if how == "handed back" else model.crash(
                    dataset, LIMITS.crash_limit
                )
        worker.queue.close()
        self.workers[number] = self._worker()
        self._remember()

    @rule(dataset=st.sampled_from(DATASETS))
    def lease_runs_out(self, dataset: str) -> None:
        """Let a lease end whose worker was stopped, or cut off, for longer than it lasts."""
        foreign = [each for each, over in self.model.leases.items() if over]
        if dataset not in self.model.places and not {*foreign} <= {*self.model.places}:
            return  # two at once come back in no particular order
        if self.stranger.zadd("datasets:leases", {dataset: 0}, xx=True, ch=True):
            self.model.leases[dataset] = True
        self._remember()

    @rule(number=st.integers(0, 2))
    def worker_publishes(self, number: int) -> None:
        worker = self.workers[number]
        before = len(read_ledger(self.share.output / "ledger.jsonl"))
        try:
            Projector(self.share, worker.queue).project()
        except ChainForgotten:
            assert before > len(self.model.commits)
            self._reconcile(worker)
            Projector(self.share, worker.queue).project()
        else:
            assert before <= len(self.model.commits)
        lines = read_ledger(self.share.output / "ledger.jsonl")
        if self.model.commits:
            assert [line["checkpoint"] for line in lines] == [
                each for _, each in self.model.commits
            ]

    @rule(hours=st.integers(-100, 100))
    def clocks_jump(self, hours: int) -> None:
        """Move the clocks of all workers; only that of Redis counts."""
        time.time = lambda: real_time() + hours * 3600.0

    # --- Redis ---

    @precondition(lambda self: self.restarts < RESTARTS)
    @rule()
    def redis_is_killed(self) -> None:
        self._kill_redis()
        self.server.start()
        self._redis_was_away(at_least=len(self.past) - 1 if self.always else 0)

    @precondition(lambda self: self.restarts < RESTARTS)
    @rule(back=st.integers(1, 12), torn=st.integers(0, 10))
    def redis_forgets(self, back: int, torn: int) -> None:
        """Lose Redis's machine: the file ends some commands earlier, the last one torn."""
        self._kill_redis()
        number = max(0, len(self.past) - 1 - back)
        self._cut(number, torn)
        self.server.start()
        self._redis_was_away(at_least=number if self.always else 0)

    def _kill_redis(self) -> None:
        self.restarts += 1
        os.kill(int(self.stranger.info("server")["process_id"]), signal.SIGKILL)
        self.server.stop()

    def _cut(self, number: int, torn: int) -> None:
        """Shorten the append-only file to what it was when marker `number` was written."""
        (path,) = {
            *self.server.directory.glob("appendonlydir/*.incr.aof"),
            *self.server.directory.glob("appendonly.aof"),
        }
        content = path.read_bytes()
        marker = _marker(self.history, number)
        end = content.find(marker) + len(marker)
        if end < len(marker):
            return  # it had not even been written: Redis waited for the disk
        with path.open("r+b") as stream:
            stream.truncate(min(end + torn, len(content)))

    def _redis_was_away(self, at_least: int) -> None:
        """Find out what Redis still knows; every worker sees its connection broken.

        With `everysec` a Redis that waits for a slow disk may lose what it has acknowledged.
        """
        known = str(self.stranger.get(MARKER)).split(".")
        number = int(known[1]) if known[0] == str(self.history) else 0
        assert number >= at_least
        after = self.past[number : number + 2]  # the command after the marker may be there too
        del self.past[number + 1 :]
        for model in after:
            self.model = copy.deepcopy(model)
            with suppress(AssertionError):
                self.redis_and_the_model_agree()
                break
        self._remember()
        for worker in self.workers:
            worker.must_reconcile = True

    def _reconcile(self, worker: Worker) -> bool:
        """Do as a worker after a start or an absence; return whether commits were restored."""
        worker.must_reconcile = False
        ledger = self.share.output / "ledger.jsonl"
        known = [(line["dataset"], line["checkpoint"]) for line in read_ledger(ledger)]
        missing = known[len(self.model.commits) :]
        assert reconcile(worker.queue, self.share) == len(missing)
        if not missing:
            return False
        self.model.restore(missing)
        self._remember()
        if worker.held:  # it was about to fold: that is off
            for dataset in worker.queue.hand_back():
                self.model.put_back(dataset)
            worker.held.pop()
            worker.turn = None
            self._remember()
        return True

    def _drain(self) -> None:
        unfinished = {*self.model.waiting, *self.model.processing}
        for worker in self.workers:
            worker.queue.close()
        self.workers = [self._worker()]
        for _ in range(100):
            for dataset in self.model.leases.keys() - {
                lease.dataset for lease in self.workers[0].held
            }:
                self.lease_runs_out(dataset)
            self.operator_retries()
            if self.workers[0].turn:
                self.worker_folds_and_commits(0, reply_lost=False)
            else:
                self.worker_claims(0, reply_lost=False)
            if not self.model.waiting and not self.model.processing:
                break
        self.worker_publishes(0)
        self.redis_and_the_model_agree()
        self.there_is_one_chain_in_which_each_dataset_is_once()
        assert unfinished <= self.model.done.keys()

    # --- what must hold ---

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        redis, model = self.stranger, self.model
        assert redis.lrange("datasets", 0, -1) == model.waiting
        assert redis.lrange("datasets:processing", 0, -1) == model.processing
        assert redis.hgetall("datasets:claims") == model.claims
        scores: Any = redis.zrange("datasets:leases", 0, -1, withscores=True)
        assert {name: score == 0 for name, score in scores} == model.leases
        places: Any = redis.zrange("datasets:order", 0, -1, withscores=True)
        assert {name: int(score) for name, score in places} == model.places
        assert redis.hgetall("datasets:done") == model.done
        assert set(redis.hkeys("datasets:dead")) == {
            dataset for dataset, how in model.done.items() if how in {"refused", "skipped"}
        }
        tries = {f"attempts:{name}": f"{count}" for name, count in model.attempts.items()}
        tries |= {f"crashes:{name}": f"{count}" for name, count in model.crashes.items()}
        assert redis.hgetall("datasets:tries") == tries
        state = redis.hgetall("datasets:state")
        assert state.get("halted_dataset") == model.halted
        assert state.get("head_checkpoint") == model.head

    @invariant()
    def nothing_is_lost_and_nothing_is_in_two_hands(self) -> None:
        model = self.model
        for dataset in model.places:
            assert dataset not in model.done
            assert dataset in {*model.waiting, *model.claims, *model.processing}
        assert set(model.claims) <= set(model.processing)
        assert set(model.claims) <= set(model.leases)
        assert not set(model.claims) & set(model.done)

    @invariant()
    def there_is_one_chain_in_which_each_dataset_is_once(self) -> None:
        datasets = [dataset for dataset, _ in self.model.commits]
        assert datasets == sorted(set(datasets))
        base = None
        for commit, (dataset, checkpoint) in zip(
            map(json.loads, self.stranger.lrange("datasets:commits", 0, -1)),
            self.model.commits,
            strict=True,
        ):
            record = commit["record"]
            assert (record["dataset"], record["checkpoint"]) == (dataset, checkpoint)
            assert record["base"] == base
            content = json.dumps([base, dataset]).encode()
            assert hashlib.sha256(content).hexdigest() == checkpoint
            base = checkpoint

    # --- bookkeeping ---

    history: ClassVar[int] = 0

    def _worker(self) -> Worker:
        return Worker(Queue(connect(self.server.url), LIMITS, RetryPolicy(20.0)))

    def _remember(self) -> None:
        """Mark the place in the append-only file to which a later accident may go back."""
        if not self.past:
            Histories.history += 1
        self.past.append(copy.deepcopy(self.model))
        self.stranger.set(MARKER, f"{self.history}.{len(self.past) - 1}.")


def _marker(history: int, number: int) -> bytes:
    value = f"{history}.{number}.".encode()
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
        len(MARKER),
        MARKER,
        len(value),
        value,
    )


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_redis_and_a_plain_model_agree_after_every_command_whatever_happens(
    fsync: str, tmp_path: Path
) -> None:
    with EmbeddedRedis(tmp_path, options=("--appendfsync", fsync)) as server:
        Histories.server, Histories.always = server, fsync == "always"
        run_state_machine_as_test(Histories, settings=HISTORIES)

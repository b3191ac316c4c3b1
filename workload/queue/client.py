"""The queue's verbs, one script each, as typed Python."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workload.errors import LeaseLost
from workload.queue.connection import Connection, RetryPolicy, check_server, reads_replies
from workload.queue.keys import COMMITS, EVENTS, PROCESSING, STATE, WAITING
from workload.queue.messages import (
    Answer,
    Claimed,
    Commit,
    DeadLetter,
    Empty,
    Halted,
    Head,
    Lease,
    Status,
    Torn,
    Turn,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import redis

LEASE_SECONDS = 15.0
MAX_ATTEMPTS = 3
CRASH_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a lease lasts and how often a dataset is tried."""

    lease_seconds: float = LEASE_SECONDS
    max_attempts: int = MAX_ATTEMPTS
    crash_limit: int = CRASH_LIMIT


@dataclass(slots=True)
@reads_replies
class Queue:
    """One session with the queue.

    Args:
        client: connection made by `connect`; used by one thread at a time.
        limits: lease length and retry limits.
        retry_policy: how long to wait for a Redis that is away.

    Every method raises QueueUnavailable when Redis stays away, and UsageError when it refuses the
    credentials,
    or is none.
    """

    client: redis.Redis
    limits: Limits = field(default_factory=Limits)
    retry_policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(120.0))
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    _connection: Connection = field(init=False)
    _requests: int = 0

    def __post_init__(self) -> None:
        self._connection = Connection(self.client)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._connection.close()
        self.client.close()

    def verify_server(self) -> None:
        """Ask the server what it is.

        Raises:
            UsageError: it can't keep the queue.
        """
        check_server(self.retry_policy.call(lambda _: self._execute("INFO")))

    def claim(self, holding: Lease | None = None) -> Answer:
        """Claim the next dataset or, when one is held already, ask whether it is its turn.

        A holder is given an earlier dataset when that came back from a dead worker, so that the
        line never stops.

        Raises:
            LeaseLost: the token of `holding` is no longer valid.
        """
        self._requests += 1
        held = (holding.dataset, holding.token) if holding else ("", "")
        request = f"{self.session}.{self._requests}"
        crash_limit = self.limits.crash_limit
        reply = self.retry_policy.call(
            lambda repeated: self._run(
                "claim", request, self._lease_ms, crash_limit, *held, int(repeated)
            )
        )
        match reply:
            case ["claimed", dataset, token, order, attempts, crashes, first, *head]:
                lease = Lease(dataset, token, int(order), int(attempts), int(crashes))
                return Claimed(lease, Turn(Head.of(head)) if first else None)
            case ["turn", *head]:
                return Turn(Head.of(head))
            case ["wait", milliseconds, event]:
                return Wait(int(milliseconds) / 1000, event)
            case ["empty", milliseconds, event, processing, filled]:
                wait = Wait(int(milliseconds) / 1000, event)
                return Empty(wait, int(processing), bool(filled))
            case ["halted", dataset, reason]:
                return Halted(dataset, reason)
            case ["torn"]:
                return Torn()
            case _:
                raise LeaseLost(f"{held[0]}: the lease ended and another worker may hold it")

    def renew(self, leases: Iterable[tuple[str, str]]) -> set[str]:
        """Extend leases, given as (dataset, token); return the tokens no longer valid."""
        pairs = [text for lease in leases for text in lease]
        return set(self._call("renew", self._lease_ms, *pairs))

    def complete(
        self, lease: Lease, base: str | None, checkpoint: str, date: str, record: Mapping[str, Any]
    ) -> None:
        """Commit a trained dataset.

        Raises:
            LeaseLost: the token is no longer valid, the head is not `base`, or keys are gone.
        """
        outcome = self._call(
            "complete",
            lease.dataset,
            lease.token,
            base or "",
            checkpoint,
            date,
            json.dumps(record),
        )
        if outcome != "committed":
            raise LeaseLost(f"{lease.dataset}: the commit was rejected ({outcome})")

    def hand_back(self) -> list[str]:
        """Hand back everything this session holds; not an attempt, not a crash."""
        return list(self._call("hand_back", self.session, 0))

    def report_crash(self) -> list[str]:
        """Hand back everything this session holds because its worker died."""
        return list(self._call("hand_back", self.session, self.limits.crash_limit))

    def refuse(self, lease: Lease, reason: str) -> None:
        """Move a dataset to the dead letters.

        Raises:
            LeaseLost: as `complete` does.
        """
        if self._call("refuse", lease.dataset, lease.token, reason) == "lost":
            raise LeaseLost(f"{lease.dataset}: the lease ended before it could be refused")

    def fail(self, lease: Lease, reason: str, limit: int | None = None) -> tuple[str, int]:
        """Count a failed attempt, of `limit`; return ('retry' | 'halted', attempts so far)."""
        outcome, attempts = self._call(
            "fail", lease.dataset, lease.token, reason, limit or self.limits.max_attempts
        )
        if outcome == "lost":
            raise LeaseLost(f"{lease.dataset}: the lease ended before the failure was recorded")
        return outcome, int(attempts)

    def push(self, datasets: Sequence[str]) -> tuple[int, dict[str, str]]:
        """Enqueue; return the length of the waiting list and a verdict per dataset."""
        names = list(dict.fromkeys(datasets))
        length, verdicts = self._call("push", *names)
        return int(length), dict(zip(names, verdicts, strict=True))

    def retry(self, datasets: Sequence[str] = ()) -> dict[str, str]:
        """Let a halted chain go on; return a verdict per dataset."""
        halted = self.status().halted
        wanted = list(datasets) or ([halted.dataset] if halted else [])
        verdicts = self._call("retry", *wanted) if wanted else []
        return dict(zip(wanted, verdicts, strict=True))

    def skip(self, dataset: str, reason: str) -> bool:
        """Take an unfinished dataset out of the chain; False when there is no such dataset."""
        return bool(self._call("skip", dataset, reason) == "skipped")

    def status(self) -> Status:
        """Look without touching anything."""
        return Status.of(self._call("status"))

    def commits(self, start: int = 0) -> list[Commit]:
        """Return the commit records in chain order, from position `start` on; -1 is the last."""
        return [Commit.of(text) for text in self._range(COMMITS, start)]

    def unfinished(self) -> list[str]:
        """Return the datasets that wait or are in progress."""
        return [dataset for key in (WAITING, PROCESSING) for dataset in self._range(key)]

    def extend(self, commits: Sequence[Commit], head: str | None) -> bool:
        """Append commits that the files prove to the chain; False when that is not as it was seen.

        Args:
            commits: in chain order.
            head: checkpoint they continue.
        """
        return self._restore("extend", commits, head=head)

    def mend(self, commits: Sequence[Commit], head: str | None, length: int) -> bool:
        """Bring keys that are gone back from the others; False when they are not as they were seen.

        Args:
            commits: all of the chain, in its order; what else was learned is queued again.
            head: the last commit's checkpoint in Redis.
            length: number of commits in Redis.
        """
        return self._restore("mend", commits, head=head, length=length)

    def replace(
        self,
        commits: Sequence[Commit],
        waiting: Sequence[str] = (),
        dead: Sequence[DeadLetter] = (),
        *,
        ledger: str = "",
    ) -> None:
        """Forget all and start over with this.

        Args:
            commits: in chain order.
            waiting: datasets to enqueue.
            dead: dead letters to set.
            ledger: hash of the ledger file that becomes void (`void_ledger`).
        """
        self._restore("replace", commits, waiting=waiting, dead=dead, ledger=ledger)

    def _restore(
        self,
        mode: str,
        commits: Sequence[Commit],
        *,
        head: str | None = None,
        length: int = 0,
        ledger: str = "",
        waiting: Sequence[str] = (),
        dead: Sequence[DeadLetter] = (),
    ) -> bool:
        plan = {
            "commits": [
                {
                    "dataset": commit.record["dataset"],
                    "checkpoint": commit.record["checkpoint"],
                    "date": commit.record["date"],
                    "envelope": commit.envelope(),
                }
                for commit in commits
            ],
            "waiting": list(waiting),
            "dead": [
                {"dataset": letter.dataset, "kind": letter.kind, "reason": letter.reason}
                for letter in dead
            ],
        }
        text = json.dumps(plan, ensure_ascii=False)
        return bool(self._call("restore", mode, head or "", length, ledger, text) == "restored")

    def void_ledger(self) -> str | None:
        """Return the hash of the ledger file that was made void and is yet to be replaced."""
        return self._reply("HGET", STATE, "replaced") or None

    def set_void_ledger(self, digest: str | None) -> None:
        """Name the ledger file that is void, by its hash; None when it is replaced."""
        if digest:
            self._reply("HSET", STATE, "replaced", digest)
        else:
            self._reply("HDEL", STATE, "replaced")

    def wait_for_push(self, seconds: float) -> None:
        """Block until anyone pushes to the empty waiting list, at most `seconds`.

        Moving the head of the list onto itself wakes on a plain RPUSH and takes nothing.
        """
        self._reply("BLMOVE", WAITING, WAITING, "LEFT", "LEFT", _blocking(seconds))

    def wait_for_event(self, wait: Wait, at_most: float) -> bool:
        """Block until a worker commits, returns or refuses something; False when time is up."""
        seconds = min(wait.seconds, at_most)
        if seconds <= 0:
            return False
        milliseconds = round(_blocking(seconds) * 1000)
        return bool(self._reply("XREAD", "BLOCK", milliseconds, "STREAMS", EVENTS, wait.event))

    @property
    def _lease_ms(self) -> int:
        return round(self.limits.lease_seconds * 1000)

    def _range(self, key: str, start: int = 0) -> list[str]:
        return list(self._reply("LRANGE", key, start, -1))

    def _reply(self, *words: str | float) -> Any:  # noqa: ANN401 - any command's reply
        return self.retry_policy.call(lambda _: self._execute(*words))

    def _call(self, name: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a script's reply
        return self.retry_policy.call(lambda _: self._run(name, *arguments))

    def _run(self, name: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a script's reply
        return self._connection.run(name, *arguments)

    def _execute(self, *words: str | float) -> Any:  # noqa: ANN401 - any command's reply
        return self._connection.execute(*words)


def _blocking(seconds: float) -> float:
    """Return a blocking time safely inside the socket's own limit."""
    return min(max(seconds, 0.01), 5.0)

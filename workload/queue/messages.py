"""What the queue answers, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Head:
    """The last commit: what the next fold starts from. All None before the first."""

    checkpoint: str | None = None
    dataset: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed dataset. `token` fences every effect its holder has."""

    dataset: str
    token: str
    order: int
    attempts: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A dataset was claimed. `turn` is set when every earlier one is finished already."""

    lease: Lease
    turn: Turn | None


@dataclass(frozen=True, slots=True)
class Turn:
    """The dataset held is the first in order: it may be folded on `head`."""

    head: Head


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `seconds` are over or an event after `event` arrives."""

    seconds: float
    event: str


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing waits. `processing` datasets are in other hands; `filled`: ever held any."""

    wait: Wait
    processing: int
    filled: bool


@dataclass(frozen=True, slots=True)
class Halted:
    """The chain stands still at `dataset` until an operator acts."""

    dataset: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dataset taken out of the chain: `refused` for its content or `skipped` by hand."""

    dataset: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Claims:
    """One dataset in work, as `status` shows it."""

    dataset: str
    session: str
    lease_seconds: float
    order: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit record: the worker's `record` and what the queue knows about it."""

    record: Mapping[str, Any]
    attempts: int
    crashes: int
    committed: float
    """Unix time in seconds, by the clock of Redis."""

    def envelope(self) -> str:
        """Return the JSON text kept in Redis."""
        return json.dumps(
            {
                "attempts": self.attempts,
                "crashes": self.crashes,
                "committed_ms": round(self.committed * 1000),
                "record": self.record,
            }
        )


@dataclass(frozen=True, slots=True)
class Status:
    """A consistent picture of the queue."""

    waiting: int
    committed: int
    claims: list[Claims]
    dead: list[DeadLetter]
    head: Head
    halted: Halted | None

    @property
    def drained(self) -> bool:
        """Nothing waits and nothing is in work."""
        return not self.waiting and not self.claims

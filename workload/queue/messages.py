"""What the queue answers, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Head:
    """The last commit: what the next fold starts from. All None before the first."""

    checkpoint: str | None = None
    dataset: str | None = None
    date: str | None = None

    @classmethod
    def of(cls, fields: Sequence[str]) -> Head:
        """Return the head as scripts tell it, '' for None."""
        checkpoint, dataset, date = (text or None for text in fields)
        return cls(checkpoint, dataset, date)


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
class Torn:
    """Some keys are gone while others are there; `restore` mends it from the files."""


Answer = Claimed | Turn | Wait | Empty | Halted | Torn
"""What a claim gives."""


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

    @classmethod
    def of(cls, envelope: str) -> Commit:
        """Return the commit of a JSON text kept in Redis."""
        told = json.loads(envelope)
        seconds = told["committed_ms"] / 1000
        return cls(told["record"], told["attempts"], told["crashes"], seconds)


@dataclass(frozen=True, slots=True)
class Status:
    """A consistent picture of the queue."""

    waiting: int
    committed: int
    claims: list[Claims]
    dead: list[DeadLetter]
    head: Head
    halted: Halted | None
    torn: bool
    """Whether some keys are gone while others are there."""

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Status:
        """Return what the script `status` tells."""
        waiting, committed, claims, dead, state, now, torn = reply
        rows = [claims[index : index + 5] for index in range(0, len(claims), 5)]
        letters = [(name, json.loads(text)) for name, text in zip(*[iter(dead)] * 2, strict=True)]
        return cls(
            waiting=int(waiting),
            committed=int(committed),
            claims=[
                Claims(
                    dataset=dataset,
                    session=token.partition(".")[2].rpartition(".")[0],
                    lease_seconds=max(0.0, (float(deadline) - now) / 1000),
                    order=int(order),
                    crashes=int(crashes),
                )
                for dataset, token, deadline, order, crashes in rows
            ],
            dead=[
                DeadLetter(name, letter["kind"], letter["reason"])
                for name, letter in sorted(letters)
            ],
            head=Head.of(state[:3]),
            halted=Halted(state[3], state[4]) if state[3] else None,
            torn=bool(torn),
        )

    @property
    def drained(self) -> bool:
        """Nothing waits and nothing is in work."""
        return not self.waiting and not self.claims

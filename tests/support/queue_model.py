"""What the queue must do, in plain Python: the model that `test_queue_machine.py` compares with.

It knows nothing of Redis, Lua, time or bytes: lists, dictionaries, and leases that have run out or
have not.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Model:
    """All that the queue remembers."""

    waiting: list[str] = field(default_factory=list)
    processing: list[str] = field(default_factory=list)
    leases: dict[str, bool] = field(default_factory=dict)
    """Dataset to whether its lease has run out."""
    claims: dict[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    fence: int = 0
    commits: list[tuple[str, str]] = field(default_factory=list)
    """Dataset and checkpoint, in chain order."""
    done: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    halted: str | None = None

    @property
    def head(self) -> str | None:
        """The last checkpoint."""
        return self.commits[-1][1] if self.commits else None

    def first(self) -> str | None:
        """Return the dataset whose turn it is."""
        return min(self.places, key=self.places.__getitem__, default=None)

    def unclaim(self, dataset: str) -> None:
        self.claims.pop(dataset, None)
        self.leases.pop(dataset, None)
        if dataset in self.processing:
            self.processing.remove(dataset)

    def put_back(self, dataset: str) -> None:
        self.unclaim(dataset)
        place = self.places.get(dataset)
        if place is None:
            self.waiting.append(dataset)
            return
        index = 0
        while (
            index < len(self.waiting) and self.places.get(self.waiting[index], place + 1) <= place
        ):
            index += 1
        self.waiting.insert(index, dataset)

    def finish(self, dataset: str, verdict: str) -> None:
        self.unclaim(dataset)
        self.places.pop(dataset, None)
        self.attempts.pop(dataset, None)
        self.crashes.pop(dataset, None)
        if self.halted == dataset:
            self.halted = None
        self.done[dataset] = verdict

    def crash(self, dataset: str, limit: int) -> None:
        self.put_back(dataset)
        self.crashes[dataset] = self.crashes.get(dataset, 0) + 1
        if self.crashes[dataset] >= limit:
            self.halted = dataset

    def reap(self, limit: int) -> None:
        expired = [dataset for dataset, over in self.leases.items() if over]
        for dataset in sorted(expired, key=lambda each: -self.places.get(each, 0)):
            if dataset in self.claims:
                self.crash(dataset, limit)
            elif dataset in self.processing:
                self.put_back(dataset)
            else:
                self.unclaim(dataset)

    def grant(self, dataset: str, token: str) -> None:
        self.fence += 1
        self.places.setdefault(dataset, self.fence)
        self.processing.append(dataset)
        self.claims[dataset] = token
        self.leases[dataset] = False

    def claim(self, limit: int, holding: str | None = None, token: str = "") -> tuple[str, str]:
        """Return what a claim must answer, and about which dataset; the caller grants `take`."""
        self.reap(limit)
        if self.halted is not None and not self._precedes_halt(holding):
            return "halted", self.halted
        taken = self._next() if holding is None else None
        if taken is not None:
            return "take", taken
        for dataset in self.processing:
            self.leases.setdefault(dataset, False)
        return ("empty", "") if holding is None else self._look(holding, token)

    def _precedes_halt(self, holding: str | None) -> bool:
        halt, place = self.places.get(self.halted or ""), self.places.get(holding or "")
        return halt is not None and place is not None and place < halt

    def _next(self) -> str | None:
        """Return the oldest that waits and is not a second copy."""
        while self.waiting:
            dataset = self.waiting.pop(0)
            if dataset not in self.done and dataset not in self.claims:
                return dataset
        return None

    def _look(self, holding: str, token: str) -> tuple[str, str]:
        if self.claims.get(holding) != token:
            return "lost", holding
        first = self.first()
        assert first is not None
        if first == holding:
            return "turn", holding
        if first in self.processing:
            return "wait", ""
        self.waiting.remove(first)
        return "take", first

    def commit(self, dataset: str, token: str, base: str | None, checkpoint: str) -> bool:
        if self.claims.get(dataset) != token:
            return self.done.get(dataset) == token
        if self.first() != dataset or self.head != base:
            return False
        self.commits.append((dataset, checkpoint))
        self.finish(dataset, token)
        return True

    def restore(self, commits: list[tuple[str, str]]) -> None:
        for dataset, checkpoint in commits:
            self.waiting = [each for each in self.waiting if each != dataset]
            self.finish(dataset, "restored")
            self.commits.append((dataset, checkpoint))

    def push(self, dataset: str) -> None:
        """Push as the queue's own verb does: nothing twice."""
        if dataset not in {*self.waiting, *self.claims, *self.done}:
            self.waiting.append(dataset)

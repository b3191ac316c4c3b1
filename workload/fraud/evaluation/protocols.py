"""Who learns what, and is tested on which rows: the two protocols.

Both let time pass one day at a time and give labels only when they arrive. Neither ever scores a
row with anything that was learned from a label younger than the lag.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Contender, Prepared

    Contenders = Mapping[str, Contender]

WINDOW_DAYS = 7
"""Days that the short-sighted variant of a contender learns: as many as the published models."""

FOLDS = 4
LAST_FOLD_DAY = 115
"""First training day of the last fold: 2018-07-25 in the handbook, whose data begin on
2018-04-01. Each earlier fold begins a week before (handbook, chapter 5, prequential validation)."""
TEST_DAYS = 7

FIRST_SCORED_DAY = 38
WARM_UP_DAYS = 30
"""Prequential scoring begins when the labels of so many days have arrived, which at a lag of 8 days
is day 38; with shorter lags on that day too, so that figures compare."""


class Protocol(StrEnum):
    """Names of the protocols."""

    handbook = "handbook"
    prequential = "prequential"


class Learned(StrEnum):
    """What a contender has learned from when it scores."""

    chain = "chain"
    """Every labelled day so far."""
    window = "window"
    """`WINDOW_DAYS` labelled days only."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows of one fold's test, and their fraud probability by each contender.

    Attributes:
        training: first and last day number of the 7 training days; None if they move along.
        test: first and last day number of the test.
        compromised_leave: whether a card that was found leaves the pool for the rest of the test.
        number: (n,) day number of each row, ascending.
        fraud: (n,) labels.
        customer: (n,) cards.
        scenario: (n,) the kind of fraud; 0 is genuine.
        probability: (n,) by contender and what it learned from.
    """

    training: tuple[int, int] | None
    test: tuple[int, int]
    compromised_leave: bool
    number: NDArray[np.int64]
    fraud: NDArray[np.bool_]
    customer: NDArray[np.int64]
    scenario: NDArray[np.int8]
    probability: Mapping[tuple[str, Learned], NDArray[np.float64]]


@dataclass(slots=True)
class _Collected:
    """Grows into a `Scored`."""

    training: tuple[int, int] | None
    test: tuple[int, int]
    compromised_leave: bool
    rows: list[tuple[NDArray[np.int64], ...]] = field(default_factory=list)
    scenario: list[NDArray[np.int8]] = field(default_factory=list)
    scores: dict[tuple[str, Learned], list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(
        self, day: Prepared, kept: NDArray[np.bool_], chain: Contenders, window: Contenders
    ) -> None:
        customer = day.day.customer[kept]
        self.rows.append((np.full(len(customer), day.number), customer))
        self.scenario.append(day.day.scenario[kept])
        for learned, contenders in ((Learned.chain, chain), (Learned.window, window)):
            for name, contender in contenders.items():
                probability = contender.probability(day)[kept]
                self.scores.setdefault((name, learned), []).append(probability)

    def scored(self) -> Scored:
        number, customer = (np.concatenate(parts) for parts in zip(*self.rows, strict=True))
        scenario = np.concatenate(self.scenario)
        return Scored(
            training=self.training,
            test=self.test,
            compromised_leave=self.compromised_leave,
            number=number,
            fraud=scenario > 0,
            customer=customer,
            scenario=scenario,
            probability={name: np.concatenate(parts) for name, parts in self.scores.items()},
        )


def days_needed(protocol: Protocol, lag_days: int) -> int:
    """Return how many calendar days of data a protocol needs at a label lag."""
    if protocol is Protocol.handbook:
        return LAST_FOLD_DAY + WINDOW_DAYS + (lag_days - 1) + TEST_DAYS
    return first_scored_day(lag_days) + 1


def first_scored_day(lag_days: int) -> int:
    """Return the number of the first day that the prequential protocol scores."""
    return max(FIRST_SCORED_DAY, WARM_UP_DAYS + lag_days)


def handbook(days: Iterable[Prepared], contenders: Contenders, lag_days: int) -> list[Scored]:
    """Run four folds: 7 training days, a feedback delay, and 7 test days with frozen weights.

    Rows of cards already known as compromised are left out of a test: cards with a fraud in the
    training days, or on a later day whose labels have arrived (the handbook's rule for its
    test sets). The whole-chain variant learns every day up to the end of the training days.

    Args:
        days: prepared with labels that are visible at `lag_days`, in order.
        contenders: untrained, by name.
        lag_days: age at which labels arrive; the feedback delay is one day less, so that the last
            training day's labels are there when the test begins.
    """
    folds = [_Fold.starting(LAST_FOLD_DAY - 7 * k, contenders, lag_days) for k in range(FOLDS)]
    folds.reverse()
    chain = dict(contenders)
    for day in days:
        if day.number > folds[-1].collected.test[1]:
            break
        for fold in folds:
            fold.see(day, chain)
        if day.number <= folds[-1].last_training:
            chain = {name: contender.fit(day) for name, contender in chain.items()}
    return [fold.collected.scored() for fold in folds]


@dataclass(slots=True)
class _Fold:
    """One fold of the handbook's protocol while days go by."""

    start: int
    lag_days: int
    window: dict[str, Contender]
    collected: _Collected
    chain: Contenders | None = None
    known: set[int] = field(default_factory=set)
    unlabelled: deque[tuple[int, NDArray[np.int64]]] = field(default_factory=deque)

    @classmethod
    def starting(cls, start: int, contenders: Contenders, lag_days: int) -> _Fold:
        test = start + WINDOW_DAYS + lag_days - 1
        collected = _Collected(
            (start, start + WINDOW_DAYS - 1), (test, test + TEST_DAYS - 1), compromised_leave=True
        )
        return cls(start, lag_days, dict(contenders), collected)

    @property
    def last_training(self) -> int:
        return self.start + WINDOW_DAYS - 1

    def see(self, day: Prepared, chain: Contenders) -> None:
        """Learn from a day, or be tested on it; `chain` has learned the days before it."""
        if day.number < self.start:
            return
        if day.number <= self.last_training:
            self.window = {name: each.fit(day) for name, each in self.window.items()}
        elif self.chain is None:
            self.chain = chain
        self.unlabelled.append((day.number, np.unique(day.day.customer[day.day.fraud])))
        while self.unlabelled and self._has_arrived(self.unlabelled[0][0], day.number):
            self.known.update(self.unlabelled.popleft()[1].tolist())
        first, last = self.collected.test
        if self.chain is None or not first <= day.number <= last:
            return
        fresh = ~np.isin(day.day.customer, np.fromiter(self.known, np.int64))
        self.collected.add(day, fresh, self.chain, self.window)

    def _has_arrived(self, number: int, today: int) -> bool:
        return number <= today - self.lag_days


def prequential(days: Iterable[Prepared], contenders: Contenders, lag_days: int) -> list[Scored]:
    """Score every day with everything learned from labels that have arrived; one long fold.

    The window variant starts anew every day, from the 7 latest days whose labels have arrived.

    Args:
        days: as for `handbook`.
        contenders: untrained, by name.
        lag_days: age at which labels arrive.
    """
    first = first_scored_day(lag_days)
    collected: _Collected | None = None
    chain = dict(contenders)
    unlabelled: deque[Prepared] = deque()
    recent: deque[Prepared] = deque()
    for day in days:
        while unlabelled and unlabelled[0].number <= day.number - lag_days:
            recent.append(unlabelled.popleft())
            chain = {name: each.fit(recent[-1]) for name, each in chain.items()}
        while recent and recent[0].number <= day.number - lag_days - WINDOW_DAYS:
            recent.popleft()
        unlabelled.append(day)
        if day.number < first:
            continue
        if collected is None:
            collected = _Collected(None, (day.number, day.number), compromised_leave=False)
        collected.test = (collected.test[0], day.number)
        window = dict(contenders)
        for learned in recent:
            window = {name: each.fit(learned) for name, each in window.items()}
        collected.add(day, np.ones(day.day.rows, np.bool_), chain, window)
    return [collected.scored()] if collected else []

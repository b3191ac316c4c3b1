"""How well simulated frauds could be ranked at all, by somebody who knows how they are made.

Bayes' rule on the simulator's own model: each customer's mean amount and the share, size and length
of every scenario are known, and of each fraud whose label has arrived also its scenario. Unknown is
what a label that is still to come would say, and who will be compromised. No model that keeps to
the same labels can be expected to rank better.

One simplification: nobody is compromised twice at a time, a card not even twice in
`CARD_MEMORY_DAYS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from scipy.special import expit

from workload.errors import UsageError
from workload.fraud.simulator import (
    CUSTOMER_DAYS,
    CUSTOMERS_PER_DAY,
    MEAN_AMOUNT,
    STOLEN_FACTOR,
    STOLEN_SHARE,
    SUSPICIOUS_AMOUNT,
    TERMINAL_DAYS,
    TERMINALS_PER_DAY,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Prepared
    from workload.fraud.transactions import Day

CARD_MEMORY_DAYS = 3 * CUSTOMER_DAYS
BELOW_ZERO = 0.022750131948179195
"""Probability that a normal variable is more than two standard deviations below its mean."""
RAISED = 1.0 + 0.05399096651318806 / 2.0
"""What drawing negative amounts anew makes of a customer's mean, by the density at -2."""

_TERMINAL, _CARD = 2, 3
_CERTAIN = 40.0
"""Logarithm of the likelihood ratio of what only one of two hypotheses allows."""


class Population(Protocol):
    """Whom the days are of: a `World` of the simulator, or what is `Estimated` of another."""

    @property
    def customers(self) -> int:
        """How many there are, numbered from 0."""
        ...

    @property
    def terminals(self) -> int:
        """Likewise."""
        ...

    @property
    def mean_amount(self) -> NDArray[np.float64]:
        """Of each customer's own transactions, shape (customers,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """A population whose days are there and its simulator is not, as the handbook's."""

    customers: int
    terminals: int
    mean_amount: NDArray[np.float64]

    @classmethod
    def of(cls, days: Sequence[Day]) -> Estimated:
        """Take means over all days, later ones too: a ceiling may know more, but not less.

        Raises:
            UsageError: ids do not count from 0.
        """
        customer, terminal, amount, scenario = (
            np.concatenate([getattr(day, name) for day in days])
            for name in ("customer", "terminal", "amount", "scenario")
        )
        for name, ids in (("CUSTOMER_ID", customer), ("TERMINAL_ID", terminal)):
            if ids.max() > 2 * len(np.unique(ids)):
                raise UsageError(f"{name} up to {ids.max()}: ids must count from 0 on")
        own = scenario != _CARD
        size = int(customer.max()) + 1
        paid = np.bincount(customer[own], amount[own], size)
        times = np.bincount(customer[own], minlength=size)
        mean = np.clip(paid / np.maximum(times, 1) / RAISED, *MEAN_AMOUNT)
        return cls(size, int(terminal.max()) + 1, mean)


class Clairvoyant:
    """A contender that has nothing to learn.

    Args:
        world: whom the days are of.
        days: all of them, from the world's first on, in order.
        lag_days: a label of day e is known on day e + lag_days.
    """

    def __init__(self, world: Population, days: Sequence[Prepared], lag_days: int) -> None:
        terminals = Terminals(world.terminals, len(days))
        cards = Cards(world, len(days))
        self._probability = []
        for number, each in enumerate(days):
            if number >= lag_days:
                seen = number - lag_days
                terminals.see(seen, days[seen].day)
                cards.see(seen, days[seen].day)
            day = each.day
            genuine = (1.0 - terminals.bad(number)[day.terminal]) * (
                1.0 - cards.stolen(number, day)
            )
            self._probability.append(np.where(day.amount > SUSPICIOUS_AMOUNT, 1.0, 1.0 - genuine))

    def fit(self, day: Prepared) -> Self:  # noqa: ARG002 - as every contender has it
        """Return itself."""
        return self

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the probability of a fraud, given what is known on that day: (n,)."""
        return self._probability[day.number]


class Terminals:
    """Whether terminals are compromised: then all their transactions are frauds of scenario 2."""

    def __init__(self, terminals: int, days: int) -> None:
        self._new = TERMINALS_PER_DAY / terminals
        long_ago = np.full(terminals, -days - TERMINAL_DAYS)
        self._genuine, self._before = long_ago, long_ago.copy()
        self._first, self._last = long_ago.copy(), long_ago.copy()

    def see(self, number: int, day: Day) -> None:
        """Learn the labels of a day."""
        fraud = day.terminal[day.scenario == _TERMINAL]
        begins = fraud[self._first[fraud] <= self._genuine[fraud]]
        self._before[begins] = self._genuine[begins]
        self._first[begins] = number
        self._last[fraud] = number
        # A stolen card hides what the terminal is.
        self._genuine[day.terminal[day.scenario < _TERMINAL]] = number

    def bad(self, number: int) -> NDArray[np.float64]:
        """Return the probability of each terminal to be compromised on a day."""
        still = self._first > self._genuine
        earliest = np.maximum(self._before + 1, self._last - TERMINAL_DAYS + 1)
        starts = self._first - earliest + 1
        lasting = self._first - np.maximum(earliest, number - TERMINAL_DAYS + 1) + 1
        known = np.where(still, np.clip(lasting / np.maximum(starts, 1), 0.0, 1.0), 0.0)
        seen = np.where(still, self._first, self._genuine)
        unknown = self._new * np.clip(number - seen, 0, TERMINAL_DAYS)
        bad: NDArray[np.float64] = known + (1.0 - known) * unknown
        return bad


class Cards:
    """Whether cards are compromised: then a share of their transactions is multiplied."""

    def __init__(self, world: Population, days: int) -> None:
        self._new = CUSTOMERS_PER_DAY / world.customers
        self._mean = world.mean_amount
        self._evidence = np.zeros((days + CARD_MEMORY_DAYS, world.customers))
        """Of each day, before the first one too: log likelihood ratio if compromised that day."""

    def see(self, number: int, day: Day) -> None:
        """Learn the labels of a day; they say more than its amounts did."""
        stolen = day.scenario == _CARD
        each = np.where(stolen, _CERTAIN, np.log(1.0 - STOLEN_SHARE))
        self._evidence[number + CARD_MEMORY_DAYS] = self._of_cards(day, each)

    def stolen(self, number: int, day: Day) -> NDArray[np.float64]:
        """Return each transaction's probability to be the thief's; its amounts become evidence."""
        genuine, multiplied = self._densities(day)
        either = STOLEN_SHARE * multiplied + (1.0 - STOLEN_SHARE) * genuine
        each = np.log(either / genuine)
        now = number + CARD_MEMORY_DAYS
        until = np.concatenate(
            (
                np.zeros((1, self._mean.size)),
                np.cumsum(self._evidence[now - CARD_MEMORY_DAYS : now], axis=0),
            )
        )
        starts = np.arange(CARD_MEMORY_DAYS + 1)
        of_start = until[np.minimum(starts + CUSTOMER_DAYS, CARD_MEMORY_DAYS)] - until[starts]
        active = starts > CARD_MEMORY_DAYS - CUSTOMER_DAYS
        ended = np.logaddexp(0.0, np.log(self._new) + np.logaddexp.reduce(of_start[~active]))
        odds = np.log(self._new) + np.logaddexp.reduce(of_start[active]) - ended
        so_far = odds[day.customer] + _so_far(day.customer, each)
        self._evidence[now] = self._of_cards(day, each)
        share: NDArray[np.float64] = STOLEN_SHARE * multiplied / either * expit(so_far)
        return share

    def _of_cards(self, day: Day, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(day.customer, each, self._mean.size).astype(np.float64)

    def _densities(self, day: Day) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the density of each amount, if the card's owner paid it and if the thief did."""
        mean = self._mean[day.customer]
        return _density(day.amount, mean), _density(
            day.amount / STOLEN_FACTOR, mean
        ) / STOLEN_FACTOR


def _density(amount: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a density of own amounts: normal, and uniform in place of what would be negative."""
    deviation = mean / 2.0
    apart = (amount - mean) / deviation
    normal = np.exp(-0.5 * apart * apart) / (deviation * np.sqrt(2.0 * np.pi))
    uniform = np.where(amount <= 2.0 * mean, BELOW_ZERO / (2.0 * mean), 0.0)
    density: NDArray[np.float64] = np.maximum(normal + uniform, np.finfo(np.float64).tiny)
    return density


def _so_far(customer: NDArray[np.int64], each: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the customer's rows up to and with each row."""
    order = np.argsort(customer, kind="stable")
    total: NDArray[np.float64] = np.cumsum(each[order])
    first = np.flatnonzero(np.diff(customer[order], prepend=-1))
    before = np.repeat(total[first] - each[order][first], np.diff(first, append=customer.size))
    summed = np.empty(customer.size)
    summed[order] = total - before
    return summed

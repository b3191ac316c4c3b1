"""What is known of cards, and a day's rows set against it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from workload.fraud.model.counters import Groups, Table, decay, plus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.transactions import Day

UNUSUAL = 3.5
"""An amount is unusual above this many times the card's own level.

A choice about people, not about the data's frauds: nobody often spends so much more than usual.
Multiples from 3 to 4 do equally well.
"""

PRIOR_WEIGHT = 1.0
"""Transactions' worth of the level of all cards that is mixed into each card's own level."""

SUSPECT = 0.9
"""Unusual amounts from which on a card, and not the terminal, explains its frauds.

Counted when the label arrives, and relative to what is left by then of one unusual amount of the
day of the fraud; so one on that day or later is enough (0.9 leaves room for rounding).
"""

SPELL_OVER = 0.5
"""A card's spell of unusual amounts is over when their decaying count is below this: one such
amount a half-life ago."""

MOST_AMOUNT = float(1 << 32)
"""Larger amounts count as this much, so that no sum can overflow."""

UNIT = 1 << 16
"""Square roots of amounts are summed as integers in units of 1 / UNIT, hence exactly."""


class Card(IntEnum):
    """Counters of a customer's card; the suffix is the half-life in days."""

    COUNT_7 = 0
    COUNT_30 = 1
    UNUSUAL_7 = 2
    UNUSUAL_30 = 3
    FRAUD_30 = 4


class CardSum(IntEnum):
    """Sums of √amount of a card; `LEVEL_30` leaves out what exceeds the unusual."""

    ROOT_7 = 0
    LEVEL_30 = 1


class CardMark(IntEnum):
    """Days since the first and the last unusual amount of the present spell."""

    FIRST = 0
    LAST = 1


HALF_LIVES = (7, 30, 7, 30, 30)
"""Half-life of each `Card` counter, in days."""
SUM_HALF_LIVES = (7, 30)
"""Half-life of each `CardSum`, in days."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A day's rows against what was known before them, by card; nothing here reads a label.

    Arrays of shape (n,) are in `cards.order`: by card, and within a card by time.

    Attributes:
        cards: the rows by customer.
        terminals: the rows, in their original order, by terminal.
        table: the customers known before, with entries for all of the day's.
        at: (g,) where each of `cards.ids` is in `table`.
        amount: (n,) at most `MOST_AMOUNT`.
        earlier: (n,) number of earlier rows of the same card today.
        ratio: (n,) amount over the card's level, which includes its earlier rows of today; 1 where
            nothing is known yet.
        unusual: (n,) 1 where the ratio is above `UNUSUAL`, else 0.
        root: (n,) √amount in units of 1 / `UNIT`.
        capped: (n,) the same, at most what is unusual for the card: what enters its level, so that
            a thief's amounts hardly move it.
    """

    cards: Groups
    terminals: Groups
    table: Table
    at: NDArray[np.intp]
    amount: NDArray[np.float64]
    earlier: NDArray[np.int64]
    ratio: NDArray[np.float64]
    unusual: NDArray[np.int64]
    root: NDArray[np.int64]
    capped: NDArray[np.int64]


def aged(customers: Table, days: int) -> Table:
    """Return the table some days later."""
    return customers.aged(days, HALF_LIVES, SUM_HALF_LIVES, (CardMark.FIRST, CardMark.LAST))


def set_against(customers: Table, usual_root: float | None, day: Day) -> Rows:
    """Set a day's rows against the table of customers as it is before the day.

    Args:
        customers: rows as in `Card`, `CardSum` and `CardMark`.
        usual_root: mean √amount of all cards; None if nothing is known yet.
        day: its labels are not read.
    """
    cards = Groups.by(day.customer)
    table, at = customers.including(cards.ids)
    amount = np.minimum(day.amount[cards.order], MOST_AMOUNT)
    root = np.sqrt(amount)

    count = table.counters[Card.COUNT_30, at].astype(np.float64)
    total = table.sums[CardSum.LEVEL_30, at].astype(np.float64)
    if usual_root is not None:
        count += PRIOR_WEIGHT
        total += PRIOR_WEIGHT * usual_root
    level_before = np.divide(total, count, out=np.full(len(at), MOST_AMOUNT), where=total > 0)
    limit = sqrt(UNUSUAL) * level_before
    capped = _units(np.minimum(root, limit[cards.group]))

    earlier = np.arange(len(root)) - cards.start[cards.group]
    weight = count[cards.group] + earlier
    level = np.zeros(len(root))
    np.divide(total[cards.group] + cards.before(capped) / UNIT, weight, out=level, where=weight > 0)
    level *= level
    ratio = np.divide(amount, level, out=np.ones(len(root)), where=level > 0)
    return Rows(
        cards=cards,
        terminals=Groups.by(day.terminal),
        table=table,
        at=at,
        amount=amount,
        earlier=earlier,
        ratio=ratio,
        unusual=(ratio > UNUSUAL).astype(np.int64),
        root=_units(root),
        capped=capped,
    )


def with_rows(rows: Rows) -> Table:
    """Return the table the rows were set against, with the rows in it."""
    cards, at = rows.cards, rows.at
    counters = rows.table.counters.copy()
    sums = rows.table.sums.copy()
    marks = rows.table.marks.copy()
    unusual = cards.total(rows.unusual)
    spell = at[unusual > 0]
    marks[CardMark.FIRST, spell[counters[Card.UNUSUAL_7, spell] < SPELL_OVER]] = 0
    marks[CardMark.LAST, spell] = 0
    for row in (Card.COUNT_7, Card.COUNT_30):
        counters[row, at] = plus(counters[row, at], cards.size)
    for row in (Card.UNUSUAL_7, Card.UNUSUAL_30):
        counters[row, spell] = plus(counters[row, spell], unusual[unusual > 0])
    sums[CardSum.ROOT_7, at] += (cards.total(rows.root) / UNIT).astype(np.float32)
    sums[CardSum.LEVEL_30, at] += (cards.total(rows.capped) / UNIT).astype(np.float32)
    return Table(rows.table.ids, counters, sums, marks)


def suspect(customers: Table, ids: NDArray[np.int64], age: int) -> NDArray[np.bool_]:
    """Tell which of (f,) customers had unusual amounts on a day so many days ago, or since."""
    limit = SUSPECT * decay(HALF_LIVES[Card.UNUSUAL_7], age)
    unusual = customers.values(Card.UNUSUAL_7, ids)
    return (unusual > 0) & (unusual >= np.float32(limit))


def with_frauds(customers: Table, frauds: NDArray[np.int64], age: int) -> Table:
    """Return the table with the (f,) customers of a day's frauds counted.

    Args:
        customers: rows as in `Card`.
        frauds: (f,) the customer of each.
        age: how many days ago the day was.
    """
    ids, counts = np.unique(frauds, return_counts=True)
    table, at = customers.including(ids)
    counters = table.counters.copy()
    weight = decay(HALF_LIVES[Card.FRAUD_30], age)
    counters[Card.FRAUD_30, at] = plus(counters[Card.FRAUD_30, at], counts, weight)
    return Table(table.ids, counters, table.sums, table.marks)


def _units(root: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(root * UNIT).astype(np.int64)

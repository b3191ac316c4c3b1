"""What the learner remembers of past days: decaying counters, and labels that are not due yet.

A state is a value: every method returns a new one. It is bounded (entities not seen for months are
dropped, and those beyond a number) and rounded at every step to what a checkpoint stores, so a
chain resumed from a checkpoint goes on bit for bit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.fraud.model import cards, terminals
from workload.fraud.model.cards import Card, CardMark, CardSum
from workload.fraud.model.counters import Table, decay
from workload.fraud.model.labels import AMOUNT_BINS, Labels, amount_bins
from workload.fraud.model.terminals import Terminal, TerminalMark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workload.fraud.model.cards import Rows
    from workload.fraud.transactions import Day

LABEL_LAG_DAYS = 8
"""On day d, features may use the labels of day e only if e <= d - LABEL_LAG_DAYS, calendar days.

Handbook, chapter 3: frauds come to light a week after the fact, so on day d the labels of day d - 8
are the latest that are complete. `State.advance` is the only place where labels become visible.
"""

FORGOTTEN = 1 / 16
"""Entities whose 30-day count has decayed below this are dropped: 120 days after a single
transaction, 30 days later for every doubling of the count."""

MOST_ENTITIES = 2_000_000
"""Most cards, and most terminals, that are kept after a day: with as many new ids every day, a
checkpoint of some 70 MB.

Beyond, those with the lowest 30-day count are dropped first, the rule by which entities are
forgotten: of ids with one transaction each, those not seen for longest. Of equal ones the higher
ids go.
"""

LONGEST_HALF_LIFE = 30


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What past days left behind.

    Attributes:
        date: the day the state stands at; None before the first.
        customers: rows as in `Card`, `CardSum` and `CardMark`.
        terminals: rows as in `Terminal` and `TerminalMark`.
        amounts: (2, AMOUNT_BINS) float32, decaying histogram of the amounts of genuine and of
            fraudulent transactions, visible labels only.
        transactions: decaying (30 days) count of all transactions.
        roots: the same for the sum of their √amount, without what is unusual for the card.
        pending: labels that are not visible yet, by date.
    """

    date: dt.date | None
    customers: Table
    terminals: Table
    amounts: NDArray[np.float32]
    transactions: float
    roots: float
    pending: tuple[Labels, ...]

    @classmethod
    def empty(cls) -> State:
        """Return the state before the first day."""
        return cls(
            date=None,
            customers=Table.empty(len(Card), len(CardSum), len(CardMark)),
            terminals=Table.empty(len(Terminal), 0, len(TerminalMark)),
            amounts=np.zeros((2, AMOUNT_BINS), np.float32),
            transactions=0.0,
            roots=0.0,
            pending=(),
        )

    @property
    def usual_root(self) -> float | None:
        """Mean √amount of all cards; None before the first transaction."""
        return self.roots / self.transactions if self.transactions else None

    @property
    def threshold(self) -> int:
        """Amount bin from which on, upwards, the amount alone explains a fraud: the amount rule.

        Learned: calling everything from here on upwards a fraud, and nothing else, makes the
        fewest mistakes on the visible labels. `AMOUNT_BINS` if that is never.
        """
        genuine, fraud = self.amounts.astype(np.float64)
        gained = np.cumsum((fraud - genuine)[::-1])
        best = int(np.argmax(gained))
        return AMOUNT_BINS - 1 - best if gained[best] > 0 else AMOUNT_BINS

    def advance(self, date: dt.date, label_lag_days: int = LABEL_LAG_DAYS) -> State:
        """Let time pass until a date: counters decay, and labels that are due become visible.

        Args:
            date: where the state is to stand.
            label_lag_days: age in days, 1 or more, from which on labels are visible; other values
                than the chain's own are for evaluations.

        Raises:
            ValueError: the date is before the state's.
        """
        if date == self.date:
            return self
        if self.date is None:
            return replace(self, date=date)
        days = (date - self.date).days
        if days < 0:
            raise ValueError(f"the state stands at {self.date} and cannot go back to {date}")
        factor = decay(LONGEST_HALF_LIFE, days)
        state = replace(
            self,
            date=date,
            customers=cards.aged(self.customers, days),
            terminals=terminals.aged(self.terminals, days),
            amounts=self.amounts * np.float32(factor),
            transactions=self.transactions * factor,
            roots=self.roots * factor,
        )
        while state.pending and (date - state.pending[0].date).days >= label_lag_days:
            state = _delivered(state, date)
        return replace(
            state,
            customers=state.customers.only(state.customers.counters[Card.COUNT_30] >= FORGOTTEN),
            terminals=state.terminals.only(
                state.terminals.counters[Terminal.COUNT_30] >= FORGOTTEN
            ),
        )

    def rows(self, day: Day) -> Rows:
        """Set a day's rows against the state, which must stand at the day; reads no label.

        Raises:
            ValueError: the state stands at another date.
        """
        if day.date != self.date:
            raise ValueError(f"the state stands at {self.date}, the rows are of {day.date}")
        return cards.set_against(self.customers, self.usual_root, day)

    def absorb(self, day: Day, rows: Rows | None = None) -> State:
        """Return the state with a day's rows, whose labels begin to wait.

        Args:
            day: to be absorbed.
            rows: what `rows` returns for the day, where it has been worked out already.

        Raises:
            ValueError: the state stands at another date, or the day is in it already.
        """
        if self.pending and self.pending[-1].date == day.date:
            raise ValueError(f"{day.date} has been absorbed already")
        rows = rows or self.rows(day)
        return replace(
            self,
            customers=cards.with_rows(rows),
            transactions=self.transactions + day.rows,
            roots=self.roots + int(rows.capped.sum()) / cards.UNIT,
            pending=(*self.pending, _labels(day, rows)),
        )

    def capped(self, most: int) -> State:
        """Return the state with at most so many cards and so many terminals."""
        return replace(
            self,
            customers=self.customers.most(most, Card.COUNT_30),
            terminals=self.terminals.most(most, Terminal.COUNT_30),
        )

    def to_arrays(self) -> dict[str, object]:
        """Return builtins and NumPy arrays only."""
        return {
            "date": self.date and self.date.isoformat(),
            "customers": self.customers.to_arrays(),
            "terminals": self.terminals.to_arrays(),
            "amounts": self.amounts,
            "transactions": self.transactions,
            "roots": self.roots,
            "pending": [labels.to_arrays() for labels in self.pending],
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> State:
        """Undo `to_arrays`; the state goes on bit for bit like the one that was stored.

        Raises:
            ValueError: the arrays are of another layout, thus of another version of this module.
        """
        empty = cls.empty()
        amounts = arrays["amounts"]
        if (amounts.dtype, amounts.shape) != (empty.amounts.dtype, empty.amounts.shape):
            raise ValueError(
                f"amounts of {amounts.size} bins; this version has {AMOUNT_BINS} twice"
            )
        if any(type(arrays[name]) is not float for name in ("transactions", "roots")):
            raise ValueError("the sums of all transactions are not numbers")
        return cls(
            date=dt.date.fromisoformat(arrays["date"]) if arrays["date"] else None,
            customers=Table.from_arrays(arrays["customers"], empty.customers),
            terminals=Table.from_arrays(arrays["terminals"], empty.terminals),
            amounts=amounts,
            transactions=arrays["transactions"],
            roots=arrays["roots"],
            pending=tuple(Labels.from_arrays(labels) for labels in arrays["pending"]),
        )


def _delivered(state: State, date: dt.date) -> State:
    """Return the state with the oldest pending labels made visible."""
    labels, *pending = state.pending
    age = (date - labels.date).days
    explained = (labels.fraud_amount >= state.threshold) | cards.suspect(
        state.customers, labels.fraud_customer, age
    )
    fraud_amounts = np.bincount(labels.fraud_amount, minlength=AMOUNT_BINS)
    new_amounts = np.stack((labels.amounts - fraud_amounts, fraud_amounts))
    weight = decay(LONGEST_HALF_LIFE, age)
    return replace(
        state,
        customers=cards.with_frauds(state.customers, labels.fraud_customer, age),
        terminals=terminals.with_labels(state.terminals, labels, explained, age),
        amounts=state.amounts + new_amounts.astype(np.float32) * np.float32(weight),
        pending=tuple(pending),
    )


def _labels(day: Day, rows: Rows) -> Labels:
    amount = np.empty(day.rows, np.int64)
    amount[rows.cards.order] = amount_bins(rows.amount)
    fraud = np.flatnonzero(day.fraud)
    fraud = fraud[np.lexsort((amount[fraud], day.customer[fraud], day.terminal[fraud]))]
    return Labels(
        date=day.date,
        terminals=rows.terminals.ids,
        transactions=rows.terminals.size,
        fraud_terminal=day.terminal[fraud],
        fraud_customer=day.customer[fraud],
        fraud_amount=amount[fraud],
        amounts=np.bincount(amount, minlength=AMOUNT_BINS),
    )

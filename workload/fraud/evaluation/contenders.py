"""What is judged: the learner, and baselines that any claim must stand beside.

A contender is a value: fitting returns a new one, so that what was learned up to some day can be
kept while the chain goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from workload.fraud.model.labels import AMOUNT_BINS, amount_bins
from workload.fraud.model.learner import Learner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.transactions import Day


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One day as the contenders see it.

    Attributes:
        number: calendar days since the first day.
        day: the transactions.
        columns: (n, FEATURES) of this project's features, made with the labels visible that day.
        published: (n, 15) the handbook's features; None when no contender needs them.
    """

    number: int
    day: Day
    columns: NDArray[np.int32]
    published: NDArray[np.float32] | None = None


class Contender(Protocol):
    """Something that learns labelled days in order and scores later ones."""

    def fit(self, day: Prepared) -> Self:
        """Return the contender after one more labelled day."""
        ...

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the fraud probability of each row: (n,). It reads no label."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Streaming:
    """This project's learner on this project's columns."""

    learner: Learner

    @classmethod
    def untrained(cls) -> Streaming:
        """Return the start of a chain."""
        return cls(Learner.untrained())

    def fit(self, day: Prepared) -> Streaming:
        """Pass over the day once."""
        return Streaming(self.learner.fit(day.columns, day.day.fraud))

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the learner's probabilities."""
        return self.learner.probability(day.columns)


@dataclass(frozen=True, slots=True)
class Majority:
    """Calls every transaction as fraudulent as transactions are on average."""

    rows: int = 0
    frauds: int = 0

    def fit(self, day: Prepared) -> Majority:
        """Count."""
        return Majority(
            self.rows + day.day.rows, self.frauds + int(np.count_nonzero(day.day.fraud))
        )

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the share of frauds seen; 0.5 before the first row."""
        return np.full(day.day.rows, self.frauds / self.rows if self.rows else 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class AmountOnly:
    """The share of frauds by amount, made to rise with it (isotonic regression).

    Attributes:
        counts: (2, AMOUNT_BINS) genuine and fraudulent transactions by `labels.amount_bins`.
    """

    counts: NDArray[np.int64]

    @classmethod
    def untrained(cls) -> AmountOnly:
        """Return the one that has seen nothing."""
        return cls(np.zeros((2, AMOUNT_BINS), np.int64))

    def fit(self, day: Prepared) -> AmountOnly:
        """Count."""
        bins, fraud = amount_bins(day.day.amount), day.day.fraud
        every = np.bincount(bins, minlength=AMOUNT_BINS)
        frauds = np.bincount(bins[fraud], minlength=AMOUNT_BINS)
        return AmountOnly(self.counts + np.stack((every - frauds, frauds)))

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the share at the row's amount; 0.5 before the first row."""
        from sklearn.isotonic import isotonic_regression  # noqa: PLC0415 - 0.1 s to import

        every = self.counts.sum(axis=0)
        seen = np.flatnonzero(every)
        if not seen.size:
            return np.full(day.day.rows, 0.5)
        share = isotonic_regression(self.counts[1, seen] / every[seen], sample_weight=every[seen])
        return np.asarray(np.interp(amount_bins(day.day.amount), seen, share), np.float64)

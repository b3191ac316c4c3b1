"""Labels on their way: what the labels of a day are reduced to until they may be used."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.fraud.model.counters import octave_bins, packed_ids, smallest_unsigned, unpacked_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

AMOUNT_BINS = 640
"""Number of `amount_bins`: 20 octaves of 32."""

_COUNTS = ("transactions", "fraud_terminal", "fraud_customer", "fraud_amount", "amounts")


def amount_bins(amount: NDArray[np.float64]) -> NDArray[np.int32]:
    """Bin (n,) amounts from 1 to a million, 32 bins an octave, so each 2 to 3 % wide."""
    return octave_bins(amount, 0, 5, AMOUNT_BINS)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One day's labels, reduced to what the state needs of them once they are visible.

    Attributes:
        date: the day.
        terminals: (t,) distinct terminals of the day, ascending.
        transactions: (t,) transactions of each.
        fraud_terminal: (f,) terminal of each fraud; frauds are in ascending order of terminal,
            customer and amount.
        fraud_customer: (f,) its customer.
        fraud_amount: (f,) the `amount_bins` of its amount.
        amounts: (AMOUNT_BINS,) histogram of the amounts of all transactions.
    """

    date: dt.date
    terminals: NDArray[np.int64]
    transactions: NDArray[np.int64]
    fraud_terminal: NDArray[np.int64]
    fraud_customer: NDArray[np.int64]
    fraud_amount: NDArray[np.int64]
    amounts: NDArray[np.int64]

    def to_arrays(self) -> Mapping[str, object]:
        """Return builtins and arrays, in the narrowest dtypes that hold the values."""
        return _packed(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Labels:
        """Undo `to_arrays`.

        Raises:
            ValueError: the arrays do not fit each other.
        """
        labels = cls(
            date=dt.date.fromisoformat(arrays["date"]),
            terminals=unpacked_ids(arrays["terminals"]),
            **{name: arrays[name].astype(np.int64) for name in _COUNTS},
        )
        shapes = [getattr(labels, name).shape for name in _COUNTS]
        frauds = len(labels.fraud_amount)
        if (
            shapes != [labels.terminals.shape, (frauds,), (frauds,), (frauds,), (AMOUNT_BINS,)]
            or any(arrays[name].dtype.kind != "u" for name in _COUNTS)
            or not np.isin(labels.fraud_terminal, labels.terminals).all()
            or labels.fraud_amount.max(initial=0) >= AMOUNT_BINS
        ):
            raise ValueError("labels do not fit each other")
        return labels


@lru_cache(maxsize=32)
def _packed(labels: Labels) -> Mapping[str, object]:
    """Keep what was packed, because the checkpoints of all days until it is due need it."""
    return {
        "date": labels.date.isoformat(),
        "terminals": packed_ids(labels.terminals),
        **{name: smallest_unsigned(getattr(labels, name)) for name in _COUNTS},
    }

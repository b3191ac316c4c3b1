"""The 15 features that the published models learn, for the baselines.

"Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook", chapter 3,
"Baseline feature transformation", describes them; this is an independent implementation. For
every transaction:

- the amount; whether it falls on a weekend; whether its hour is 0 to 6;
- for its customer, the number and the mean amount of the transactions of the last 1, 7 and 30 days
  up to and including this one;
- for its terminal, the number of transactions and the share of frauds among them in windows of 1, 7
  and 30 days that end a feedback delay before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workload.fraud.transactions import Day

WINDOWS = (1, 7, 30)
"""Lengths of the windows in days."""

NAMES = (
    "amount",
    "weekend",
    "night",
    *(f"customer_{what}_{days}" for days in WINDOWS for what in ("count", "mean_amount")),
    *(f"terminal_{what}_{days}" for days in WINDOWS for what in ("count", "risk")),
)
"""The features, in the order of the columns."""

_DAY = 86_400
_LAST_NIGHT_HOUR = 6
_SATURDAY = 5


def with_features(days: Sequence[Day], lag_days: int) -> list[tuple[Day, NDArray[np.float32]]]:
    """Return each day with its (n, 15) features.

    Args:
        days: in order.
        lag_days: age of labels on arrival. The windows of a terminal's risk end lag_days - 1 days,
            to the second, before a transaction: the handbook's 7 days at a lag of 8. So at the end
            of a day they hold labels up to a day younger than this project's features may use.
    """
    time = np.concatenate(
        [day.second.astype(np.int64) + (day.date - days[0].date).days * _DAY for day in days]
    )
    amount = np.concatenate([day.amount for day in days])
    table = np.empty((len(time), len(NAMES)), np.float32)
    table[:, 0] = amount
    table[:, 1] = np.concatenate([np.full(d.rows, d.date.weekday() >= _SATURDAY) for d in days])
    table[:, 2] = time % _DAY // 3_600 <= _LAST_NIGHT_HOUR
    customer = np.concatenate([day.customer for day in days])
    table[:, 3:9] = _customer_features(_Visits(customer, time), amount)
    terminal = np.concatenate([day.terminal for day in days])
    fraud = np.concatenate([day.fraud for day in days])
    table[:, 9:] = _terminal_features(_Visits(terminal, time), fraud, (lag_days - 1) * _DAY)
    ends = np.cumsum([day.rows for day in days])
    return list(zip(days, np.split(table, ends[:-1]), strict=True))


class _Visits:
    """Transactions by entity and, within an entity, by time, so that a window is a slice.

    Args:
        ids: (n,) the entity of each transaction.
        time: (n,) in seconds, ascending.
    """

    def __init__(self, ids: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        _, entity = np.unique(ids, return_inverse=True)
        self.order = np.argsort(entity, kind="stable")
        apart = int(time[-1]) + 1_000 * _DAY  # so far that no window reaches another entity
        self._key = entity[self.order] * apart + time[self.order]

    def until(self, seconds: int) -> NDArray[np.intp]:
        """Count, for each transaction in `order`, rows up to `seconds` before it.

        Those of entities before its own are included, so only differences mean something.
        """
        return np.searchsorted(self._key, self._key - seconds, side="right")


def _customer_features(visits: _Visits, amount: NDArray[np.float64]) -> NDArray[np.float32]:
    order = visits.order
    sums = np.concatenate(([0.0], np.cumsum(amount[order])))
    here = np.arange(1, len(order) + 1)
    features = np.empty((len(order), 2 * len(WINDOWS)), np.float32)
    for number, days in enumerate(WINDOWS):
        begin = visits.until(days * _DAY)
        features[order, 2 * number] = here - begin
        features[order, 2 * number + 1] = (sums[here] - sums[begin]) / (here - begin)
    return features


def _terminal_features(
    visits: _Visits, fraud: NDArray[np.bool_], delay: int
) -> NDArray[np.float32]:
    order = visits.order
    frauds = np.concatenate(([0], np.cumsum(fraud[order])))
    # With no delay at all, the window ends before the transaction, whose label it would else hold.
    end = visits.until(delay) if delay else np.arange(len(order))
    features = np.empty((len(order), 2 * len(WINDOWS)), np.float32)
    for number, days in enumerate(WINDOWS):
        begin = np.minimum(visits.until(delay + days * _DAY), end)
        count = end - begin
        features[order, 2 * number] = count
        features[order, 2 * number + 1] = (frauds[end] - frauds[begin]) / np.maximum(count, 1)
    return features

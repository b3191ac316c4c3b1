"""Next-day tests of several days taken together."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workload.fraud.metrics import (
    CARDS,
    FEWEST_FRAUDS,
    pool,
    pooled_average_precision,
    pooled_roc_auc,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from workload.fraud.report.scores import Histogram, Scenarios, Step

TRAILING_DAYS = 7
"""Calendar days pooled in the trailing figures."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Next-day tests of several days taken together; None where a figure is undefined."""

    days: int
    rows: int
    frauds: int
    base_rate: float | None
    average_precision: float | None
    roc_auc: float | None
    recall: float | None
    precision: float | None
    accuracy: float | None
    majority_accuracy: float | None
    card_precision: float | None
    """Mean over the days."""
    card_precision_limit: float | None
    """The mean that a perfect ranking would have: days with fewer compromised cards cap it."""
    histogram: Histogram
    card_threshold: float | None
    """Median over the days."""
    scenarios: Scenarios

    @property
    def ranks(self) -> bool:
        """Whether there are frauds enough for a claim about ranking."""
        return self.frauds >= FEWEST_FRAUDS


def pool_next_day(steps: Iterable[Step]) -> Pooled:
    """Pool the next-day tests of `steps`; steps without one are left out."""
    tests = [step.next_day for step in steps if step.next_day is not None]
    histogram = pool(test.histogram for test in tests if test.histogram is not None)
    rows = sum(test.rows for test in tests)
    frauds = sum(test.frauds for test in tests)
    true_positives = _sum(test.true_positives for test in tests)
    found = [test.cards_found for test in tests if test.frauds and test.cards_found is not None]
    thresholds = [test.card_threshold for test in tests if test.card_threshold is not None]
    kinds = sorted({kind for test in tests for kind in test.scenarios})
    counts = {
        kind: [test.scenarios[kind] for test in tests if kind in test.scenarios] for kind in kinds
    }
    limits = [
        min(test.fraud_cards, CARDS)
        for test in tests
        if test.frauds and test.fraud_cards is not None
    ]
    return Pooled(
        days=len(tests),
        rows=rows,
        frauds=frauds,
        base_rate=_share(frauds, rows),
        average_precision=pooled_average_precision(histogram),
        roc_auc=pooled_roc_auc(histogram),
        recall=_share(true_positives, frauds),
        precision=_share(true_positives, _sum(test.alarms for test in tests)),
        accuracy=_share(_sum(test.correct for test in tests), rows),
        majority_accuracy=_share(rows - frauds, rows),
        card_precision=_share(sum(found), CARDS * len(found)),
        card_precision_limit=_share(sum(limits), CARDS * len(limits)),
        histogram=histogram,
        card_threshold=statistics.median(thresholds) if thresholds else None,
        scenarios={
            kind: (sum(frauds for frauds, _ in each), sum(caught for _, caught in each))
            for kind, each in counts.items()
        },
    )


def trailing(steps: Sequence[Step]) -> list[tuple[dt.date, Pooled]]:
    """Pool, for each tested day, the next-day tests of the `TRAILING_DAYS` days that end there."""
    tested = [
        (step.committed.date, step) for step in steps if step.committed.date and step.next_day
    ]
    return [
        (
            day,
            pool_next_day(
                step for other, step in tested if 0 <= (day - other).days < TRAILING_DAYS
            ),
        )
        for day, _ in tested
    ]


def label_lag(steps: Sequence[Step]) -> str | None:
    """Return the label lag as recorded, such as "8 days"; None without a record of it."""
    lags = sorted({step.label_lag_days for step in steps if step.label_lag_days is not None})
    return f"{' or '.join(map(str, lags))} days" if lags else None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None

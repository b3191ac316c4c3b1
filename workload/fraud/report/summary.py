"""What the report says, as plain values worked out from the ledger.

Everything here is a pure function of ledger records (JSON objects). A value that is missing or of
another type reads as None, so a report can always be written: it is the last thing that may fail.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from workload.fraud.metrics import (
    BINS,
    CARDS,
    FEWEST_FRAUDS,
    THRESHOLD,
    pool,
    pooled_average_precision,
    pooled_roc_auc,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Histogram = Mapping[str, Sequence[int]]
    Scenarios = Mapping[str, tuple[int, int]]
    """Kind of fraud → frauds, and those whose card was among the `metrics.CARDS` checked."""

TRAILING_DAYS = 7
"""Calendar days pooled in the trailing figures."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One model's result on one set of transactions: what `metrics.evaluate` returned."""

    rows: int
    frauds: int
    alarms: int | None
    true_positives: int | None
    """Frauds among the alarms."""
    correct: int | None
    """Rows that the alarms classify correctly."""
    threshold: float
    accuracy: float | None
    majority_accuracy: float | None
    average_precision: float | None
    roc_auc: float | None
    fraud_cards: int | None
    cards_found: int | None
    """Compromised cards among the `metrics.CARDS` ranked highest."""
    card_precision: float | None
    recall: float | None
    histogram: Histogram | None
    card_threshold: float | None
    """Score from which on alarms reach `metrics.CARDS` cards that day."""
    scenarios: Scenarios

    @property
    def ranks(self) -> bool:
        """Whether there are frauds enough for a claim about ranking."""
        return self.frauds >= FEWEST_FRAUDS


@dataclass(frozen=True, slots=True)
class Fold:
    """One committed dataset."""

    dataset: str
    date: dt.date | None
    rows: int
    frauds: int
    checkpoint: str
    checkpoint_file: str
    base: str | None
    """Hash of the checkpoint it continues."""
    first: bool
    """Whether it has no base checkpoint."""
    label: str
    label_lag_days: int | None
    training: Scores | None
    next_day: Scores | None
    testing: Scores | None
    testing_note: str | None
    attempts: int
    crashes: int
    rows_per_second: float | None
    new_cards: float | None
    """Share of its cards that the chain had not seen for months, or never."""


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


def read_fold(record: Mapping[str, object]) -> Fold:
    """Read one ledger record."""
    metrics = _mapping(record.get("metrics"))
    seconds = _mapping(record.get("seconds"))
    busy = math.fsum(_number(seconds.get(part)) or 0.0 for part in ("prepare", "fold", "write"))
    rows = _count(record.get("rows")) or 0
    note = metrics.get("testing_note")
    ids = _mapping(record.get("ids"))
    base = record.get("base")
    return Fold(
        dataset=printable(record.get("dataset", "")),
        date=_date(record.get("date")),
        rows=rows,
        frauds=_count(record.get("frauds")) or 0,
        checkpoint=printable(record.get("checkpoint", "")),
        checkpoint_file=printable(record.get("checkpoint_file", "")),
        base=None if base is None else printable(base),
        first=base is None,
        label=printable(record.get("label", "")),
        label_lag_days=_count(record.get("label_lag_days")),
        training=_scores(metrics.get("training")),
        next_day=_scores(metrics.get("next_day")),
        testing=_scores(metrics.get("testing")),
        testing_note=printable(note) if note else None,
        attempts=_count(record.get("attempts")) or 0,
        crashes=_count(record.get("crashes")) or 0,
        rows_per_second=rows / busy if busy > 0.0 else None,
        new_cards=_share(_count(ids.get("new_cards")) or 0, _count(ids.get("cards")) or 0),
    )


def pool_next_day(folds: Iterable[Fold]) -> Pooled:
    """Pool the next-day tests of `folds`; folds without one are left out."""
    tests = [fold.next_day for fold in folds if fold.next_day is not None]
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


def trailing(folds: Sequence[Fold]) -> list[tuple[dt.date, Pooled]]:
    """Pool, for each tested day, the next-day tests of the `TRAILING_DAYS` days that end there."""
    tested = [(fold.date, fold) for fold in folds if fold.date and fold.next_day]
    return [
        (
            day,
            pool_next_day(
                fold for other, fold in tested if 0 <= (day - other).days < TRAILING_DAYS
            ),
        )
        for day, _ in tested
    ]


def latest_testing(folds: Sequence[Fold]) -> Scores | None:
    """Return the newest checkpoint's result on the test dataset."""
    return folds[-1].testing if folds else None


def label_lag(folds: Sequence[Fold]) -> str | None:
    """Return the label lag as recorded, such as "8 days"; None without a record of it."""
    lags = sorted({fold.label_lag_days for fold in folds if fold.label_lag_days is not None})
    return f"{' or '.join(map(str, lags))} days" if lags else None


def printable(value: object) -> str:
    r"""Return text on one line: every control or invisible character as an escape like \\n."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(value)
    )


def base_name(dataset: str) -> str:
    """Return a dataset's file name without its directory."""
    return dataset.rsplit("/", 1)[-1]


def _scores(value: object) -> Scores | None:
    if not isinstance(value, Mapping):
        return None
    threshold = _number(value.get("threshold"))
    return Scores(
        rows=_count(value.get("rows")) or 0,
        frauds=_count(value.get("frauds")) or 0,
        alarms=_count(value.get("alarms")),
        true_positives=_count(value.get("true_positives")),
        correct=_count(value.get("correct")),
        threshold=THRESHOLD if threshold is None else threshold,
        accuracy=_number(value.get("accuracy")),
        majority_accuracy=_number(value.get("majority_accuracy")),
        average_precision=_number(value.get("average_precision")),
        roc_auc=_number(value.get("roc_auc")),
        fraud_cards=_count(value.get("fraud_cards")),
        cards_found=_count(value.get("cards_found")),
        card_precision=_number(value.get("card_precision_100")),
        recall=_number(value.get("recall")),
        histogram=_histogram(value.get("histogram")),
        card_threshold=_number(value.get("card_threshold_100")),
        scenarios=_scenarios(value.get("scenarios")),
    )


def _scenarios(value: object) -> Scenarios:
    return {
        printable(kind): (_count(each.get("frauds")) or 0, _count(each.get("caught")) or 0)
        for kind, each in _mapping(value).items()
        if isinstance(each, Mapping)
    }


def _histogram(value: object) -> Histogram | None:
    histogram = _mapping(value)
    kinds = {}
    for kind in ("genuine", "fraud"):
        counts = histogram.get(kind)
        if not isinstance(counts, list) or len(counts) != BINS:
            return None
        kinds[kind] = counts
    whole = all(_count(count) is not None for count in chain.from_iterable(kinds.values()))
    return kinds if whole else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _date(value: object) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None

"""What a ledger record says of a dataset with frauds, as plain values; see `report.record`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from workload.fraud.metrics import BINS, FEWEST_FRAUDS, THRESHOLD
from workload.report.record import (
    Committed,
    read_committed,
    read_count,
    read_mapping,
    read_number,
)
from workload.text import plural, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workload.report.record import Record

    Histogram = Mapping[str, Sequence[int]]
    Scenarios = Mapping[str, tuple[int, int]]
    """Kind of fraud → frauds, and those whose card was among the `metrics.CARDS` checked."""


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
class Step:
    """One committed dataset."""

    committed: Committed
    """What a record says of any trainer's dataset."""
    frauds: int
    label: str
    label_lag_days: int | None
    training: Scores | None
    """After training on it."""
    next_day: Scores | None
    """Of the base checkpoint."""
    testing: Scores | None
    new_cards: float | None
    """Share of its cards that the chain had not seen for months, or never."""
    dropped: tuple[int, int]
    """Cards and terminals that the model no longer knows after it, as it knows the most it may."""


def read_step(record: Record) -> Step:
    """Read a ledger record."""
    metrics, ids = read_mapping(record.get("metrics")), read_mapping(record.get("ids"))
    cards, new_cards = read_count(ids.get("cards")), read_count(ids.get("new_cards"))
    dropped = read_mapping(record.get("dropped"))
    return Step(
        committed=read_committed(record),
        frauds=read_count(record.get("frauds")) or 0,
        label=printable(read_mapping(record.get("options")).get("label", "")),
        label_lag_days=read_count(record.get("label_lag_days")),
        training=_scores(metrics.get("training")),
        next_day=_scores(metrics.get("next_day")),
        testing=_scores(metrics.get("testing")),
        new_cards=(new_cards or 0) / cards if cards else None,
        dropped=(read_count(dropped.get("cards")) or 0, read_count(dropped.get("terminals")) or 0),
    )


def full(steps: Sequence[Step]) -> str | None:
    """Say what the cap on the model's cards and terminals took away; None for nothing."""
    days = sum(any(step.dropped) for step in steps)
    cards, terminals = (sum(step.dropped[kind] for step in steps) for kind in (0, 1))
    if not days:
        return None
    return (
        f"On {plural(days, 'day')} {plural(cards, 'card')} and {plural(terminals, 'terminal')} "
        "were dropped, those with the fewest recent transactions first: the model keeps a bounded "
        "number."
    )


def no_claim(frauds: int) -> str:
    """Say why a set with so few frauds is not judged by its ranking."""
    return f"no ranking claim is possible with {plural(frauds, 'fraud')}"


def _scores(value: object) -> Scores | None:
    if not isinstance(value, Mapping):
        return None
    threshold = read_number(value.get("threshold"))
    return Scores(
        rows=read_count(value.get("rows")) or 0,
        frauds=read_count(value.get("frauds")) or 0,
        alarms=read_count(value.get("alarms")),
        true_positives=read_count(value.get("true_positives")),
        correct=read_count(value.get("correct")),
        threshold=THRESHOLD if threshold is None else threshold,
        accuracy=read_number(value.get("accuracy")),
        majority_accuracy=read_number(value.get("majority_accuracy")),
        average_precision=read_number(value.get("average_precision")),
        roc_auc=read_number(value.get("roc_auc")),
        fraud_cards=read_count(value.get("fraud_cards")),
        cards_found=read_count(value.get("cards_found")),
        card_precision=read_number(value.get("card_precision_100")),
        recall=read_number(value.get("recall")),
        histogram=_histogram(value.get("histogram")),
        card_threshold=read_number(value.get("card_threshold_100")),
        scenarios=_scenarios(value.get("scenarios")),
    )


def _scenarios(value: object) -> Scenarios:
    return {
        printable(kind): (read_count(each.get("frauds")) or 0, read_count(each.get("caught")) or 0)
        for kind, each in read_mapping(value).items()
        if isinstance(each, Mapping)
    }


def _histogram(value: object) -> Histogram | None:
    histogram = read_mapping(value)
    kinds = {}
    for kind in ("genuine", "fraud"):
        counts = histogram.get(kind)
        if not isinstance(counts, list) or len(counts) != BINS:
            return None
        kinds[kind] = counts
    whole = all(read_count(count) is not None for count in chain.from_iterable(kinds.values()))
    return kinds if whole else None

"""Metrics of a fraud model on one day of transactions, and of many days pooled.

Accuracy says next to nothing here: with 0.8 % fraud, a model that never raises an alarm is 99.2 %
accurate. So every evaluation carries that trivial accuracy beside its own, and leads with metrics
that depend on the ranking: average precision, ROC AUC and card precision at 100.

Results are the same on every CPU: only comparisons, sorts, integer counts and exactly rounded
operations are used (no exp, log, pow or float reduction whose order NumPy may choose), and floats
but scores themselves are rounded to 12 significant digits.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import fsum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

THRESHOLD = 0.5
"""Probability above which a transaction counts as an alarm; strictly above, as in scikit-learn's
`predict`, so that an untrained model (0.5 for everything) raises none."""

CARDS = 100
"""Cards an investigator can check in a day: the k of the handbook's card precision at k."""

FEWEST_FRAUDS = 50
"""With fewer frauds than this in a set, no claim about ranking is made from it."""

BINS = 128
"""Number of bins of a score histogram."""


def _edges() -> tuple[float, ...]:
    with localcontext() as context:
        context.prec = 40
        steps = (Decimal(k) / 8 for k in range(-(BINS // 2 - 1), BINS // 2))
        return tuple(float(1 / (1 + (-step).exp())) for step in steps)


EDGES: tuple[float, ...] = _edges()
"""The 127 inner edges of a score histogram, as probabilities: log-odds -63/8 to 63/8 in steps of
1/8, hence fine at both ends (0.00038 to 0.99962) and with an edge at exactly 0.5. Bin i holds the
scores in (EDGES[i-1], EDGES[i]]. Computed in decimal arithmetic, so the same on every CPU."""


def evaluate(
    probability: NDArray[np.float64],
    fraud: NDArray[np.bool_],
    customer: NDArray[np.int64],
    *,
    threshold: float = THRESHOLD,
    scenario: NDArray[np.int8] | None = None,
) -> dict[str, object]:
    """Measure the scores of one set of transactions, normally one day.

    Args:
        probability: (n,) fraud probability of each transaction, within 0 to 1.
        fraud: (n,) whether the transaction is fraudulent.
        customer: (n,) number of the card; any integer.
        threshold: a transaction is an alarm if its probability is above this.
        scenario: (n,) the kind of each fraud, 1 or more, and 0 where it is none; None if nobody
            wants to know.

    Returns:
        Builtins only, ready for JSON and pickle; None where a metric is undefined (no rows, no
        frauds, no genuine rows, no alarms):

        - `rows`, `frauds`, `alarms`: counts of transactions;
        - `true_positives`: frauds among the alarms;
        - `correct`: rows that the alarms classify correctly;
        - `cards_found`: compromised cards among the 100 of `card_precision_100`;
        - `threshold`: the argument;
        - `accuracy`: `correct` over `rows`;
        - `majority_accuracy`: accuracy of always answering "genuine";
        - `average_precision`: sum over distinct scores of precision times gain in recall, as
          scikit-learn's `average_precision_score`;
        - `roc_auc`: probability that a random fraud scores above a random genuine row, ties
          counting half (Mann-Whitney statistic);
        - `fraud_cards`: compromised cards, those with at least one fraud;
        - `card_precision_100`: cards ranked by their highest score (ties: lower number first);
          the number among the first 100 that have a fraud, over 100. The divisor stays 100 when
          there are fewer cards, as in the handbook (chapter 4, card precision top-k);
        - `card_threshold_100`: highest score of the last of these 100 cards: who alarms from here
          on upwards checks 100 cards (more if some tie); None with fewer cards;
        - `scenarios`: for each kind of fraud by number, as text, `frauds` and how many of them are
          `caught`: their card is among these 100. Empty without `scenario`;
        - `recall`, `precision`: of the alarms;
        - `brier`: mean squared difference between probability and outcome;
        - `histogram`: `{"genuine": [...], "fraud": [...]}`, counts of scores in the `BINS` bins
          of `EDGES`; see `pool`.

    Raises:
        ValueError: the arrays differ in length, or a probability is not within 0 to 1.
    """
    rows = len(probability)
    if len(fraud) != rows or len(customer) != rows:
        raise ValueError(
            "probability, fraud and customer must be of one length, not "
            f"{rows}, {len(fraud)} and {len(customer)}"
        )
    if not bool(np.all((probability >= 0.0) & (probability <= 1.0))):
        raise ValueError("a probability is not within 0 to 1")
    frauds = int(np.count_nonzero(fraud))
    alarm = probability > threshold
    alarms = int(np.count_nonzero(alarm))
    true_positives = int(np.count_nonzero(alarm & fraud))
    correct = int(np.count_nonzero(alarm == fraud))
    miss = probability - fraud
    ascending, of_frauds = _sorted(probability), probability[fraud]
    average_precision, roc_auc = _ranking(ascending, of_frauds)
    fraud_cards = np.unique(customer[fraud])
    checked = top_cards(probability, customer, CARDS)
    cards_found = int(np.count_nonzero(np.isin(checked, fraud_cards, assume_unique=True)))
    return {
        "rows": rows,
        "frauds": frauds,
        "alarms": alarms,
        "true_positives": true_positives,
        "correct": correct,
        "threshold": float(threshold),
        "accuracy": _ratio(correct, rows),
        "majority_accuracy": _ratio(rows - frauds, rows),
        "average_precision": average_precision,
        "roc_auc": roc_auc,
        "fraud_cards": len(fraud_cards),
        "cards_found": cards_found,
        "card_precision_100": _ratio(cards_found, CARDS) if frauds else None,
        "card_threshold_100": (
            float(probability[customer == checked[-1]].max()) if len(checked) == CARDS else None
        ),
        "scenarios": {} if scenario is None else _scenarios(scenario, customer, checked),
        "recall": _ratio(true_positives, frauds),
        "precision": _ratio(true_positives, alarms),
        "brier": _round(float(np.cumsum(miss * miss)[-1]) / rows) if rows else None,
        "histogram": _histogram(ascending, of_frauds),
    }


def pool(histograms: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, list[int]]:
    """Add the score histograms of several sets into one.

    Args:
        histograms: values of `histogram` as returned by `evaluate`; may be empty.

    Raises:
        ValueError: a histogram has another number of bins.
    """
    total: dict[str, list[int]] = {"genuine": [0] * BINS, "fraud": [0] * BINS}
    for histogram in histograms:
        for kind, counts in total.items():
            added = histogram[kind]
            if len(added) != BINS:
                raise ValueError(f"a histogram has {len(added)} bins, not {BINS}")
            total[kind] = [a + b for a, b in zip(counts, added, strict=True)]
    return total


def precision_recall_curve(
    histogram: Mapping[str, Sequence[int]],
) -> tuple[list[float], list[float]]:
    """Return recall (ascending) and precision at the lower edge of every bin that holds scores.

    Both lists are empty if the histogram holds no fraud.
    """
    frauds = sum(histogram["fraud"])
    recall: list[float] = []
    precision: list[float] = []
    hits = alarms = 0
    for genuine, fraud in _from_the_top(histogram):
        if frauds and genuine + fraud:
            hits += fraud
            alarms += genuine + fraud
            recall.append(_round(hits / frauds))
            precision.append(_round(hits / alarms))
    return recall, precision


def reliability(
    histogram: Mapping[str, Sequence[int]], fewest: int = FEWEST_FRAUDS
) -> list[tuple[float, float]]:
    """Return probability and share of frauds of groups of like scores, ascending.

    Four neighbouring bins, 1/2 wide in log-odds, make a group, and more where it holds less than
    `fewest` rows. The probability of a bin is taken to be that between its edges, so the first and
    the last bin, which have one edge only, are left out.
    """
    joined = 4
    groups: list[tuple[float, float]] = []
    rows = frauds = predicted = 0.0
    for position in range(1, BINS - 1):
        genuine, fraud = histogram["genuine"][position], histogram["fraud"][position]
        middle = (EDGES[position - 1] + EDGES[position]) / 2
        rows, frauds = rows + genuine + fraud, frauds + fraud
        predicted += middle * (genuine + fraud)
        if position % joined == 0 and rows >= fewest:
            groups.append((_round(predicted / rows), _round(frauds / rows)))
            rows = frauds = predicted = 0.0
    if rows >= fewest:
        groups.append((_round(predicted / rows), _round(frauds / rows)))
    return groups


def pooled_average_precision(histogram: Mapping[str, Sequence[int]]) -> float | None:
    """Return the average precision of a (pooled) histogram; None without frauds.

    The frauds of a bin are taken to lie evenly among its genuine rows, which is within 0.002 of
    the average precision of the scores themselves on days like the simulator's, without bias.
    """
    frauds = sum(histogram["fraud"])
    hits = alarms = 0
    precision: list[float] = []
    for genuine, fraud in _from_the_top(histogram):
        share = genuine / (fraud + 1)
        precision += [(hits + j) / (alarms + j + share * j) for j in range(1, fraud + 1)]
        hits += fraud
        alarms += genuine + fraud
    return _round(fsum(precision) / frauds) if frauds else None


def pooled_roc_auc(histogram: Mapping[str, Sequence[int]]) -> float | None:
    """Return the ROC AUC of a (pooled) histogram, scores in one bin being ties.

    None unless it holds both frauds and genuine rows.
    """
    above = twice = 0
    for genuine, fraud in _from_the_top(histogram):
        twice += genuine * (2 * above + fraud)
        above += fraud
    return _ratio(twice, 2 * above * sum(histogram["genuine"]))


def _sorted(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort floats of one sign as the integers that their bits spell: the same order, but faster."""
    ascending: NDArray[np.float64] = np.sort(probability.view(np.int64)).view(np.float64)
    return ascending


def _ranking(
    ascending: NDArray[np.float64], of_frauds: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Return average precision and ROC AUC, counting only at the distinct scores of frauds."""
    scores, hits = np.unique(of_frauds, return_counts=True)
    if not len(scores):
        return None, None
    rows, frauds = len(ascending), len(of_frauds)
    at_or_above = rows - np.searchsorted(ascending, scores, side="left")
    above = rows - np.searchsorted(ascending, scores, side="right")
    hits_at_or_above = np.cumsum(hits[::-1])[::-1]
    precision = hits_at_or_above / at_or_above
    average_precision = _round(fsum((hits * precision).tolist()) / frauds)
    genuine_above = above - (hits_at_or_above - hits)
    genuine_at_or_above = at_or_above - hits_at_or_above
    lost = int(np.cumsum(hits * (genuine_above + genuine_at_or_above))[-1])
    twice_pairs = 2 * frauds * (rows - frauds)
    return average_precision, _ratio(twice_pairs - lost, twice_pairs)


def _scenarios(
    scenario: NDArray[np.int8], customer: NDArray[np.int64], checked: NDArray[np.int64]
) -> dict[str, dict[str, int]]:
    frauds = np.flatnonzero(scenario > 0)
    return caught_by_kind(scenario[frauds], np.isin(customer[frauds], checked))


def caught_by_kind(kind: NDArray[np.int8], caught: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """Return, for each kind of fraud by number, as text, `frauds` and how many are `caught`.

    Args:
        kind: (n,) the kind of each fraud.
        caught: (n,) whether it was caught.
    """
    return {
        str(each): {
            "frauds": int(np.count_nonzero(kind == each)),
            "caught": int(np.count_nonzero(caught & (kind == each))),
        }
        for each in np.unique(kind).tolist()
    }


def top_cards(
    probability: NDArray[np.float64], customer: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return the cards of highest score, best first, ties by number; all if there are fewer.

    Args:
        probability: (n,) score of each transaction.
        customer: (n,) number of its card.
        count: how many cards.
    """
    rows = len(probability)
    taken = 4 * count
    while True:
        if taken < rows:
            # Every row that ties with the cut is kept, so that no tie is decided by row order.
            cut = np.partition(probability, rows - taken)[rows - taken]
            kept = np.flatnonzero(probability >= cut)
        else:
            kept = np.arange(rows)
        cards = customer[kept[np.lexsort((customer[kept], -probability[kept]))]]
        distinct, first = np.unique(cards, return_index=True)
        if len(distinct) >= count or taken >= rows:
            return cards[np.sort(first)[:count]]
        taken *= 4


def _histogram(
    ascending: NDArray[np.float64], of_frauds: NDArray[np.float64]
) -> dict[str, list[int]]:
    every, frauds = _binned(ascending), _binned(np.sort(of_frauds))
    return {"genuine": (every - frauds).tolist(), "fraud": frauds.tolist()}


def _binned(ascending: NDArray[np.float64]) -> NDArray[np.intp]:
    up_to = np.searchsorted(ascending, EDGES, side="right")
    return np.diff(up_to, prepend=0, append=len(ascending))


def _from_the_top(histogram: Mapping[str, Sequence[int]]) -> zip[tuple[int, int]]:
    return zip(reversed(histogram["genuine"]), reversed(histogram["fraud"]), strict=True)


def _ratio(part: int, whole: int) -> float | None:
    return _round(part / whole) if whole else None


def _round(value: float) -> float:
    return float(f"{value:.12g}")

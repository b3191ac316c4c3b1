"""Figures of a test with intervals: every figure is computed for many resamples of the cards.

Transactions of one card share its owner, its thief and its history, so they are no independent
evidence; the bootstrap therefore draws whole cards with replacement. All folds of a test see the
same draw. What the intervals do not cover is what another training history would have given: that
is what other seeds show.

A resample is a weight for each card: how often it was drawn. Column 0 of the weights is 1 for all,
the test itself, so that a figure and its interval come from the same lines. Rows are first summed
by card between neighbouring scores of frauds, which makes a resample a sparse product, without
sorting again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from workload.fraud.metrics import CARDS, top_cards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workload.fraud.evaluation.protocols import Scored

REPLICATES = 200
"""Bootstrap draws: enough for the ends of a 95 % interval to move in the third decimal only."""

LEVEL = 0.95
SEED = 0

PRECISIONS = (0.5, 0.8, 0.9)
"""Precisions at which recall is reported."""

SPARE_CARDS = 4 * CARDS
"""Best-ranked cards looked at for the 100 checked: in a draw, so many stand for 100 and more."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Resamples of the cards of a test.

    Attributes:
        cards: (c,) the cards, ascending.
        weights: (c, 1 + REPLICATES) how often each was drawn; column 0 is 1.
    """

    cards: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, tests: Sequence[Scored], replicates: int = REPLICATES) -> Draws:
        """Draw from the cards that occur in any of the tests."""
        cards = np.unique(np.concatenate([test.customer for test in tests]))
        random = np.random.Generator(np.random.PCG64(SEED))
        drawn = random.multinomial(len(cards), np.full(len(cards), 1 / len(cards)), replicates)
        return cls(cards, np.vstack((np.ones(len(cards)), drawn.astype(np.float64))).T)


def figures(
    test: Scored, probability: NDArray[np.float64], draws: Draws
) -> dict[str, NDArray[np.float64]]:
    """Compute the figures of one contender on one test.

    Args:
        test: the rows.
        probability: (n,) fraud probability by the contender.
        draws: over the cards of the test, or more.

    Returns:
        By name, each of shape (1 + REPLICATES,), the test itself first; NaN where a figure is
        undefined. `average_precision`, `roc_auc` and `brier` as in `metrics.evaluate`,
        `card_precision_100` the mean over days, `recall_at_precision_50`, `_80`, `_90`.
    """
    card = np.searchsorted(draws.cards, test.customer)
    return {
        **_ranking(probability, test.fraud, card, draws.weights),
        "card_precision_100": _card_precision(test, probability, card, draws.weights),
        "brier": _brier(probability, test.fraud, card, draws.weights),
    }


def interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the percentile interval at `LEVEL` of one figure over the draws."""
    drawn = values[1:]
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size:
        return None
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _ranking(
    probability: NDArray[np.float64],
    fraud: NDArray[np.bool_],
    card: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    scores = np.unique(probability[fraud])
    left = np.searchsorted(scores, probability, side="left")
    right = np.searchsorted(scores, probability, side="right")
    # 2 j: below the j-th distinct score of a fraud; 2 j + 1: at it.
    place = left + right
    genuine = _sums(place[~fraud], card[~fraud], 2 * len(scores) + 1, weights)
    frauds = _sums(left[fraud], card[fraud], len(scores), weights)
    from_above = np.cumsum(genuine[::-1], axis=0)[::-1]
    false = from_above[1::2]
    caught = np.cumsum(frauds[::-1], axis=0)[::-1]
    every = caught[0] if len(scores) else np.zeros(weights.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = caught / (caught + false)
        recall = caught / every
        won = from_above[0] - false + genuine[1::2] / 2
        result = {
            # A draw may hold no row at a score: 0 / 0, but nothing is caught there either.
            "average_precision": np.nansum(frauds * precision, axis=0) / every,
            "roc_auc": (frauds * won).sum(axis=0) / (every * from_above[0]),
        }
        for wanted in PRECISIONS:
            reached = np.where(precision >= wanted, recall, 0.0)
            best = reached.max(axis=0, initial=0.0)
            result[f"recall_at_precision_{wanted * 100:.0f}"] = np.where(every > 0, best, np.nan)
    return result


def _sums(
    place: NDArray[np.intp], card: NDArray[np.intp], places: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the weights of rows by place: (places, 1 + REPLICATES)."""
    ones = csr_array((np.ones(len(place)), (place, card)), shape=(places, len(weights)))
    sums: NDArray[np.float64] = ones @ weights
    return sums


def _brier(
    probability: NDArray[np.float64],
    fraud: NDArray[np.bool_],
    card: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    miss = probability - fraud
    cards = len(weights)
    squares = np.bincount(card, miss * miss, minlength=cards) @ weights
    return np.asarray(squares / (np.bincount(card, minlength=cards) @ weights), np.float64)


def _card_precision(
    test: Scored,
    probability: NDArray[np.float64],
    card: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Average over days the share of compromised cards among the 100 ranked highest.

    A card drawn twice takes two of the 100 places. With `compromised_leave`, a compromised card
    that was among the 100 leaves the pool for the days after.
    """
    days = np.unique(test.number)
    total = np.zeros(weights.shape[1])
    left = weights.copy()
    found = 0
    for day in days:
        rows = slice(*np.searchsorted(test.number, [day, day + 1]))
        ranked = top_cards(probability[rows], card[rows], SPARE_CARDS + found)
        compromised = np.isin(ranked, card[rows][test.fraud[rows]])
        places = left[ranked]
        taken = np.clip(CARDS - (np.cumsum(places, axis=0) - places), 0.0, places)
        total += taken[compromised].sum(axis=0) / CARDS
        if test.compromised_leave:
            caught = ranked[compromised]
            left[caught] = np.where(taken[compromised] > 0, 0.0, left[caught])
            found = int(np.count_nonzero((left != weights).any(axis=1)))
    return total / len(days)

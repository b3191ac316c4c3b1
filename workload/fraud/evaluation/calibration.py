"""Whether a probability means what it says, and which frauds 100 checked cards a day reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workload.fraud.metrics import CARDS, caught_by_kind, top_cards

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.evaluation.protocols import Scored

EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9)
"""Edges of the groups in which probabilities are compared with outcomes: about three a decade,
because most transactions have a small one."""


def calibration(test: Scored, probability: NDArray[np.float64]) -> dict[str, object]:
    """Compare probabilities with outcomes.

    Returns:
        - `expected`, `observed`: sum of the probabilities, and frauds;
        - `error`: mean over rows of the distance between a group's mean probability and its share
          of frauds (expected calibration error over the groups of `EDGES`);
        - `groups`: a list of `rows`, mean `probability` and `share` of frauds of each group that
          holds rows.
    """
    group = np.searchsorted(EDGES, probability, side="right")
    size = len(EDGES) + 1
    rows = np.bincount(group, minlength=size)
    predicted = np.bincount(group, probability, minlength=size)
    observed = np.bincount(group[test.fraud], minlength=size)
    return {
        "expected": float(probability.sum()),
        "observed": int(observed.sum()),
        "error": float(np.abs(predicted - observed).sum() / len(probability)),
        "groups": [
            {
                "rows": int(rows[each]),
                "probability": float(predicted[each] / rows[each]),
                "share": float(observed[each] / rows[each]),
            }
            for each in np.flatnonzero(rows)
        ],
    }


def scenarios(test: Scored, probability: NDArray[np.float64]) -> dict[str, dict[str, int]]:
    """Count, by kind of fraud, frauds and those whose card was among the 100 checked that day.

    Where found cards leave the pool, later frauds of such a card count as caught too.
    """
    caught = np.zeros(len(probability), np.bool_)
    found = np.zeros(0, np.int64)
    for day in np.unique(test.number):
        rows = slice(*np.searchsorted(test.number, [day, day + 1]))
        customer, fraud = test.customer[rows], test.fraud[rows]
        ranked = top_cards(probability[rows], customer, CARDS + len(found))
        checked = ranked[~np.isin(ranked, found)][:CARDS]
        caught[rows] = fraud & (np.isin(customer, checked) | np.isin(customer, found))
        if test.compromised_leave:
            found = np.union1d(found, np.intersect1d(checked, customer[fraud]))
    return caught_by_kind(test.scenario[test.fraud], caught[test.fraud])

"""The other candidate for the learner: logistic regression by online Newton steps.

A recursive Laplace approximation: yesterday's weights and curvature are today's Gaussian prior.
It is kept here to be measured, and is not part of the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array
from scipy.special import expit

from workload.fraud.model.features import COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Prepared

FADING = 0.99
"""What a day leaves of the curvature of the days before it."""
PRIOR = 1.0
"""Curvature that the rest fades to, which keeps weights of unseen columns near 0."""
STEPS = 3
MOST_MOVE = 4.0
"""Largest change of a weight in a step, in log-odds."""


@dataclass(frozen=True, slots=True, eq=False)
class Newton:
    """Weights and curvature; a value, as every contender.

    Attributes:
        weights: (COLUMNS + 1,) log-odds of each column and, last, the intercept.
        curvature: (COLUMNS + 1, COLUMNS + 1) of the log posterior at the weights.
    """

    weights: NDArray[np.float64]
    curvature: NDArray[np.float64]

    @classmethod
    def untrained(cls) -> Newton:
        """Return the learner with no weights and the prior's curvature."""
        return cls(np.zeros(COLUMNS + 1), PRIOR * np.eye(COLUMNS + 1))

    def fit(self, day: Prepared) -> Newton:
        """Move to the most likely weights given the prior and the day."""
        rows, fraud = _with_intercept(day.columns), day.day.fraud
        prior = FADING * self.curvature + (1 - FADING) * PRIOR * np.eye(COLUMNS + 1)
        weights, curvature = self.weights, prior
        for _ in range(STEPS):
            said = expit(rows @ weights)
            curvature = prior + _weighted(rows, said * (1 - said))
            slope = rows.T @ (fraud - said) - prior @ (weights - self.weights)
            step = cho_solve(cho_factor(curvature), slope)
            weights = weights + step * min(1.0, MOST_MOVE / np.abs(step).max())
        return Newton(weights, curvature)

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the probabilities at the most likely weights."""
        return np.asarray(expit(_with_intercept(day.columns) @ self.weights), np.float64)


def _with_intercept(columns: NDArray[np.int32]) -> csr_array:
    rows = len(columns)
    every = np.hstack((columns, np.full((rows, 1), COLUMNS, np.int32)))
    ends = np.arange(0, every.size + 1, every.shape[1])
    return csr_array((np.ones(every.size), every.ravel(), ends), shape=(rows, COLUMNS + 1))


def _weighted(rows: csr_array, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = (rows.T @ (diags_array(weight) @ rows)).toarray()
    return product

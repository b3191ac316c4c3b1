"""Logistic regression by stochastic gradient descent, each column with a step of its own.

A column's step is the inverse of its curvature: the diagonal of an online Newton method. Columns
that every third row has settle, and columns seen once a week still learn from each row. The idea is
that of per-coordinate rates (McMahan and Streeter, "Adaptive Bound Optimization for Online Convex
Optimization", 2010; Duchi, Hazan and Singer, "Adaptive Subgradient Methods", 2011), with the Fisher
information in place of squared gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn import config_context
from sklearn.linear_model import SGDClassifier

from workload.fraud.model.features import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

STEP = 1.5
"""A column's step is STEP / (PRIOR + curvature); from 1 to 3, average precision is the same within
.001 on three seeds of the simulator and on the handbook's data."""

PRIOR = 1.0
"""Curvature of a column of which nothing is known."""

FADING = 0.99
"""What a day leaves of the curvature of the days before it; so no column ever stops learning."""


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """Weights of the one-hot columns; a value: fitting returns a new one.

    There is no intercept: every feature has one column that is 1.

    Attributes:
        weights: (COLUMNS,) float64, log-odds of each column.
        curvature: (COLUMNS,) float64, of the log-likelihood along each column: the sum of p(1 - p)
            over the rows that have it, fading by `FADING` a day.
    """

    weights: NDArray[np.float64]
    curvature: NDArray[np.float64]

    @classmethod
    def untrained(cls) -> Learner:
        """Return a learner whose every probability is 0.5."""
        return cls(np.zeros(COLUMNS), np.zeros(COLUMNS))

    def fit(
        self,
        columns: NDArray[np.int32],
        fraud: NDArray[np.bool_],
        predicted: NDArray[np.float64] | None = None,
    ) -> Learner:
        """Return the learner after one pass over a day's rows, in a fixed random order.

        No class weights: the probabilities are to mean what they say.

        Args:
            columns: (n, FEATURES) columns that are 1, as from `features.columns`.
            fraud: (n,) labels; they may all be alike.
            predicted: (n,) what `probability` returns for the columns, where it is known already.
        """
        rows = _one_hot(columns)
        predicted = self.probability(columns) if predicted is None else predicted
        curvature = FADING * self.curvature + rows.T @ (predicted * (1.0 - predicted))
        # Steps of 1 on columns multiplied by a scale are steps of scale squared on the columns.
        scale = np.sqrt(STEP / (PRIOR + curvature))
        rows.data = scale[rows.indices]
        classifier = _resumed(self.weights / scale)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            classifier.partial_fit(rows, fraud.astype(np.int64))
        return Learner(classifier.coef_[0] * scale, curvature)

    def probability(self, columns: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the fraud probability of each row: (n,).

        Weights are added feature by feature, so that rounding does not depend on the machine.

        Args:
            columns: (n, FEATURES) as for `fit`.
        """
        margin = np.zeros(len(columns))
        for feature in range(columns.shape[1]):
            margin += self.weights[columns[:, feature]]
        return np.asarray(expit(margin), np.float64)

    def terms(self, columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds of each row: (n, FEATURES).

        A row's log-odds are the sum of its terms.

        Args:
            columns: (n, FEATURES) as for `fit`.
        """
        return np.asarray(self.weights[columns], np.float64)

    def to_arrays(self) -> dict[str, object]:
        """Return builtins and NumPy arrays only, nothing of scikit-learn's."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Learner:
        """Undo `to_arrays`; the learner goes on bit for bit like the one that was stored.

        Raises:
            ValueError: the arrays are those of another version of the learner or of the features.
        """
        names = [field.name for field in fields(cls)]
        if sorted(arrays) != sorted(names):
            raise ValueError(
                f"a learner of {', '.join(sorted(arrays))}; this version has {', '.join(names)}"
            )
        for name in names:
            if arrays[name].shape != (COLUMNS,) or arrays[name].dtype != np.float64:
                size = arrays[name].size
                raise ValueError(f"{name} of {size} columns; this version has {COLUMNS}")
        return cls(**arrays)


def _resumed(weights: NDArray[np.float64]) -> SGDClassifier:
    """Return scikit-learn's classifier as it was after the last call of `partial_fit`.

    With a constant rate, no penalty, no averaging and an integer seed, the weights are all that one
    call leaves to the next.
    """
    classifier = SGDClassifier(
        loss="log_loss",
        penalty=None,
        learning_rate="constant",
        eta0=1.0,
        fit_intercept=False,
        random_state=0,
    )
    classifier.classes_ = np.array([0, 1])
    classifier.n_features_in_ = COLUMNS
    classifier.coef_ = weights[np.newaxis]
    classifier.intercept_ = np.zeros(1)
    return classifier


def _one_hot(columns: NDArray[np.int32]) -> csr_array:
    rows, ones = columns.shape
    return csr_array(
        (
            np.ones(columns.size),
            columns.ravel(),
            np.arange(0, columns.size + 1, ones, dtype=np.int32),
        ),
        shape=(rows, COLUMNS),
    )

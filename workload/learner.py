"""Logistic regression by stochastic gradient descent, one day at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn import config_context
from sklearn.linear_model import SGDClassifier

from workload.features import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEARNING_RATE = 0.05
"""Constant rate, so that what was learned fades and the model follows the data."""

WARM_UP_ROWS = 10_000
"""The rate starts near 1 and falls as WARM_UP_ROWS / rows until it reaches `LEARNING_RATE`.

From weights of 0, a week of days at the constant rate alone is not enough to get going: average
precision after seven days is .03 lower without.
"""

NEWEST = 0.3
"""Part of the newest day's weights in the mean that scores; what was there keeps the rest.

At a constant rate weights never settle: each day moves them, the intercept most, and with it all
small probabilities. The mean of some three days halves the calibration error (0.0014 to 0.0007 by
the handbook protocol on its data) and leaves average precision as it is. While the rate is still
falling it would only lag behind, so it begins when the rate is constant.
"""

PENALTY = 1e-6
"""Weight of the L2 penalty; with 0.8 % frauds, more of it costs average precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """Weights of the one-hot columns; a value: fitting returns a new one.

    Attributes:
        weights: (COLUMNS,) float64, log-odds of each column, as the last row learned left them.
        intercept: log-odds of a row without columns, likewise.
        mean_weights: (COLUMNS,) float64, their mean over the last days: what scores.
        mean_intercept: likewise.
        rows: number of rows learned from.
    """

    weights: NDArray[np.float64]
    intercept: float
    mean_weights: NDArray[np.float64]
    mean_intercept: float
    rows: int

    @classmethod
    def untrained(cls) -> Learner:
        """Return a learner whose every probability is 0.5."""
        return cls(np.zeros(COLUMNS), 0.0, np.zeros(COLUMNS), 0.0, 0)

    def fit(self, columns: NDArray[np.int32], fraud: NDArray[np.bool_]) -> Learner:
        """Return the learner after one pass over a day's rows, in a fixed random order.

        No class weights: the probabilities are to mean what they say.

        Args:
            columns: (n, FEATURES) columns that are 1, as from `features.columns`.
            fraud: (n,) labels; they may all be alike.
        """
        rate = WARM_UP_ROWS / (WARM_UP_ROWS + self.rows)
        classifier = self._resumed(max(LEARNING_RATE, rate))
        with config_context(assume_finite=True, skip_parameter_validation=True):
            classifier.partial_fit(_one_hot(columns), fraud.astype(np.int64))
        weights, intercept = classifier.coef_[0].copy(), float(classifier.intercept_[0])
        newest = 1.0 if rate > LEARNING_RATE else NEWEST
        return Learner(
            weights,
            intercept,
            self.mean_weights * (1.0 - newest) + weights * newest,
            self.mean_intercept * (1.0 - newest) + intercept * newest,
            self.rows + len(fraud),
        )

    def probability(self, columns: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the fraud probability of each row: (n,).

        Weights are added feature by feature, so that rounding does not depend on the machine.

        Args:
            columns: (n, FEATURES) as for `fit`.
        """
        margin = np.full(len(columns), self.mean_intercept)
        for feature in range(columns.shape[1]):
            margin += self.mean_weights[columns[:, feature]]
        return np.asarray(expit(margin), np.float64)

    def terms(self, columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds of each row: (n, FEATURES).

        A row's log-odds are the mean intercept and the sum of its terms.

        Args:
            columns: (n, FEATURES) as for `fit`.
        """
        return np.asarray(self.mean_weights[columns], np.float64)

    def to_arrays(self) -> dict[str, object]:
        """Return builtins and NumPy arrays only, nothing of scikit-learn's."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Learner:
        """Undo `to_arrays`; the learner goes on bit for bit like the one that was stored.

        Raises:
            ValueError: the weights are of other columns, thus of another version of the features.
        """
        for name in ("weights", "mean_weights"):
            if arrays[name].shape != (COLUMNS,):
                size = arrays[name].size
                raise ValueError(f"weights of {size} columns; this version has {COLUMNS}")
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def _resumed(self, rate: float) -> SGDClassifier:
        """Return scikit-learn's classifier as it was after the last call of `partial_fit`.

        With a constant rate, no averaging and an integer seed, the weights and the intercept are
        all that one call leaves to the next.
        """
        classifier = SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=rate, alpha=PENALTY, random_state=0
        )
        classifier.classes_ = np.array([0, 1])
        classifier.n_features_in_ = COLUMNS
        classifier.coef_ = self.weights[np.newaxis].copy()
        classifier.intercept_ = np.array([self.intercept])
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

"""The published kinds of model on the published features, fitted anew for every fold.

Each is scikit-learn's with its defaults, but for the rows that a tree of the forest draws. The
handbook tunes its models within each training window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.fraud.evaluation.protocols import FOLDS, Learned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Contender, Prepared

MOST_ROWS_PER_TREE = 100_000
"""Transactions that a tree of the random forest draws at most; seven days have fewer. The whole
history of a million rows would take each fold minutes and gigabytes otherwise."""


FITS = 3 * len(Learned) * FOLDS
"""How many models an evaluation fits."""


def learned_baselines(progress: Callable[[str], None]) -> dict[str, Contender]:
    """Return the untrained baselines by name; fitting calls `progress` with what it does."""
    return {
        name: Batch(name, make, progress)
        for name, make in (
            ("logistic_regression", _logistic_regression),
            ("random_forest", _random_forest),
            ("gradient_boosting", _gradient_boosting),
        )
    }


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A model that is fitted once, on all days it was given, when it is first asked to score.

    Args:
        name: for the progress.
        make: returns an unfitted scikit-learn classifier for so many rows.
        progress: called before each fit.
        days: features and labels of each day.
    """

    name: str
    make: Callable[[int], Any]
    progress: Callable[[str], None]
    days: tuple[tuple[NDArray[np.float32], NDArray[np.bool_]], ...] = ()
    _fitted: list[Any] = field(default_factory=list)

    def fit(self, day: Prepared) -> Batch:
        """Add a day.

        Raises:
            ValueError: the day was prepared without the published features.
        """
        days = (*self.days, (_published(day), day.day.fraud))
        return Batch(self.name, self.make, self.progress, days)

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the fitted model's probabilities; some rows learned there must be frauds."""
        if not self._fitted:
            self.progress(f"{self.name}, {len(self.days)} days")
            features, fraud = (np.concatenate(parts) for parts in zip(*self.days, strict=True))
            self._fitted.append(self.make(len(fraud)).fit(features, fraud))
        probability = self._fitted[0].predict_proba(_published(day))[:, 1]
        return np.asarray(probability, np.float64)


def _published(day: Prepared) -> NDArray[np.float32]:
    if day.published is None:
        raise ValueError(f"day {day.number} was prepared without the published features")
    return day.published


def _logistic_regression(_: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - seconds to import all
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _random_forest(rows: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    return RandomForestClassifier(
        max_samples=min(rows, MOST_ROWS_PER_TREE), n_jobs=-1, random_state=0
    )


def _gradient_boosting(_: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    return HistGradientBoostingClassifier(random_state=0)

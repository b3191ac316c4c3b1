"""The fraud learner as a trainer: card transactions, streaming features, logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.fraud.metrics import evaluate
from workload.fraud.model.learner import Learner
from workload.fraud.model.state import LABEL_LAG_DAYS, State
from workload.fraud.transactions import LABELS, Day, day_from_file
from workload.trainers.identity import DEFAULT, DEFAULT_HEADLINE
from workload.trainers.protocol import Folded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workload.share.dataset_file import DatasetFile
    from workload.trainers.protocol import Metrics


@dataclass(frozen=True, slots=True)
class FraudModel:
    """A value: folding returns a new one.

    Attributes:
        state: what the features remember.
        learner: the classifier.
    """

    state: State
    learner: Learner

    def score(self, day: Day) -> NDArray[np.float64]:
        """Fraud probability of each of the day's rows, in the day's order; shape (rows,).

        Only labels ``LABEL_LAG_DAYS`` older than the day are used.
        """
        return self.learner.probability(self.state.advance(day.date).columns(day))


@dataclass(frozen=True, slots=True)
class FraudTrainer:
    """Learns which card transactions are frauds; see `workload.trainers.protocol.Trainer`.

    Args:
        label: name of the label column, 0 genuine and above 0 fraud.
    """

    label: str = LABELS[0]

    name = DEFAULT
    headline = DEFAULT_HEADLINE

    @property
    def options(self) -> dict[str, str]:
        """A chain has one label."""
        return {"label": self.label}

    def prepare(self, file: DatasetFile) -> Day:
        """See `workload.fraud.transactions.read_day`."""
        return day_from_file(file, label=self.label)

    def start(self) -> FraudModel:
        """Nothing seen, nothing learned."""
        return FraudModel(State.empty(), Learner.untrained())

    def fold(self, model: FraudModel, data: Day) -> Folded[FraudModel]:
        """Features from the state, one pass of training, and the state with the day."""
        dawn, columns, said = _before(model, data)
        _before.cache_clear()  # large, and not needed again
        learner = model.learner.fit(columns, data.fraud, said)
        return Folded(
            FraudModel(dawn.absorb(data), learner),
            _tested(learner.probability(columns), data),
            {
                "frauds": int(np.count_nonzero(data.fraud)),
                "ids": _ids(dawn, data),
                "label_lag_days": LABEL_LAG_DAYS,
            },
        )

    def evaluate(self, model: FraudModel, data: Day) -> Metrics:
        """See `workload.fraud.metrics.evaluate`."""
        _, _, said = _before(model, data)
        return _tested(said, data)

    def save(self, model: FraudModel) -> dict[str, object]:
        """State and weights."""
        return {"state": model.state.to_arrays(), "learner": model.learner.to_arrays()}

    def load(self, saved: Mapping[str, Any]) -> FraudModel:
        """Raises ValueError when the features are those of another version."""
        return FraudModel(State.from_arrays(saved["state"]), Learner.from_arrays(saved["learner"]))


@lru_cache(maxsize=1)
def _before(model: FraudModel, day: Day) -> tuple[State, NDArray[np.int32], NDArray[np.float64]]:
    """The state at the day, the day's columns, and their probabilities before it is learned.

    A fold needs those of the test before it.
    """
    dawn = model.state.advance(day.date)
    columns = dawn.columns(day)
    return dawn, columns, model.learner.probability(columns)


def _tested(said: NDArray[np.float64], day: Day) -> Metrics:
    return evaluate(said, day.fraud, day.customer, scenario=day.scenario)


def _ids(state: State, day: Day) -> dict[str, int]:
    """How many cards and terminals the day has, and how many of them the state does not know.

    A terminal is known from the day on which its first labels are visible.
    """
    rows = state.rows(day)
    terminals, _ = state.terminals.including(rows.terminals.ids)
    return {
        "cards": len(rows.cards.ids),
        "new_cards": len(rows.table.ids) - len(state.customers.ids),
        "terminals": len(rows.terminals.ids),
        "new_terminals": len(terminals.ids) - len(state.terminals.ids),
    }

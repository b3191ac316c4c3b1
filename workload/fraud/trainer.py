"""The fraud learner as a trainer: card transactions, streaming features, logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.fraud.metrics import evaluate
from workload.fraud.model import features
from workload.fraud.model.learner import Learner
from workload.fraud.model.state import LABEL_LAG_DAYS, MOST_ENTITIES, State
from workload.fraud.rows import rows_at_least
from workload.fraud.transactions import LABELS, Day, day_from_file
from workload.trainers.protocol import Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workload.fraud.model.cards import Rows
    from workload.share.dataset_file import DatasetFile
    from workload.trainers.protocol import Metrics


@dataclass(frozen=True, slots=True)
class FraudModel:
    """A value: training returns a new one.

    Attributes:
        state: what the features remember.
        learner: the classifier.
    """

    state: State
    learner: Learner

    def score(self, day: Day) -> NDArray[np.float64]:
        """Return the fraud probability of each of the day's rows, in their order; shape (rows,).

        Only labels `LABEL_LAG_DAYS` older than the day are used.
        """
        return self.learner.probability(features.columns(self.state.advance(day.date), day))


@dataclass(frozen=True, slots=True)
class FraudTrainer:
    """Learns which card transactions are frauds; see `workload.trainers.protocol.Trainer`.

    Args:
        label: name of the label column, 0 genuine and above 0 fraud.
    """

    label: str = LABELS[0]

    name = "fraud"
    bytes_per_row = 550
    """Peak of training beside what the process used before: measured on 1,000,000 rows of as many
    terminals and half as many cards, 617 from pickle or parquet and 725 from csv; rounded down."""
    headline = ("frauds", "average_precision")

    rows_at_least = staticmethod(rows_at_least)

    @property
    def options(self) -> dict[str, str]:
        """A chain has one label."""
        return {"label": self.label}

    def prepare(self, file: DatasetFile) -> Day:
        """Decode and check a day; see `workload.fraud.transactions.read_day`."""
        return day_from_file(file, label=self.label)

    def start(self) -> FraudModel:
        """Return a model that has seen and learned nothing."""
        return FraudModel(State.empty(), Learner.untrained())

    def train(self, model: FraudModel, data: Day) -> Trained[FraudModel]:
        """Work out features from the state, train one pass, and put the day into the state."""
        state = model.state.advance(data.date)
        rows = state.rows(data)
        columns = features.columns(state, data, rows)
        predicted = model.learner.probability(columns)
        learner = model.learner.fit(columns, data.fraud, predicted)
        absorbed = state.absorb(data, rows)
        kept = absorbed.capped(MOST_ENTITIES)
        return Trained(
            FraudModel(kept, learner),
            _metrics(learner.probability(columns), data),
            {
                "frauds": int(np.count_nonzero(data.fraud)),
                "ids": _ids(state, rows),
                "label_lag_days": LABEL_LAG_DAYS,
                **_dropped(absorbed, kept),
            },
            _metrics(predicted, data),
        )

    def evaluate(self, model: FraudModel, data: Day) -> Metrics:
        """Measure how well a day is ranked; see `workload.fraud.metrics.evaluate`."""
        return _metrics(model.score(data), data)

    def save(self, model: FraudModel) -> dict[str, object]:
        """Return state and weights."""
        return {"state": model.state.to_arrays(), "learner": model.learner.to_arrays()}

    def load(self, saved: Mapping[str, Any]) -> FraudModel:
        """Restore a model from state and weights.

        Raises:
            ValueError: the features are those of another version.
        """
        return FraudModel(State.from_arrays(saved["state"]), Learner.from_arrays(saved["learner"]))


def _metrics(predicted: NDArray[np.float64], day: Day) -> Metrics:
    return evaluate(predicted, day.fraud, day.customer, scenario=day.scenario)


def _dropped(before: State, after: State) -> dict[str, dict[str, int]]:
    """Count what the cap on the state took away; empty when it took nothing."""
    cards = len(before.customers.ids) - len(after.customers.ids)
    terminals = len(before.terminals.ids) - len(after.terminals.ids)
    return {"dropped": {"cards": cards, "terminals": terminals}} if cards or terminals else {}


def _ids(state: State, rows: Rows) -> dict[str, int]:
    """Count the day's cards and terminals, and how many of them the state does not know.

    A terminal is known from the day on which its first labels are visible.
    """
    terminals, _ = state.terminals.including(rows.terminals.ids)
    return {
        "cards": len(rows.cards.ids),
        "new_cards": len(rows.table.ids) - len(state.customers.ids),
        "terminals": len(rows.terminals.ids),
        "new_terminals": len(terminals.ids) - len(state.terminals.ids),
    }

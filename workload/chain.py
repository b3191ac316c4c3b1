"""One step of the warm-start chain: fold a day into the model the previous day left.

``fold`` is a pure function: the same base, day and test set give the same checkpoint bytes on
every worker (``workload.numeric`` pins the arithmetic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn

from workload import canonical, numeric
from workload.checkpoints import FORMAT, checkpoint_name, load, sha256
from workload.errors import DatasetRefused, UsageError
from workload.learner import Learner
from workload.metrics import evaluate
from workload.state import LABEL_LAG_DAYS, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workload.datasets import Day


@dataclass(frozen=True, slots=True)
class TestSet:
    """The day every checkpoint is tested on, and the file it came from."""

    dataset: str
    day: Day


@dataclass(frozen=True, slots=True)
class Model:
    """A point of the chain.

    Args:
        state: what the features remember.
        learner: the classifier.
        record: the ledger record inside the checkpoint; empty before the first fold.
        checkpoint: hash of the checkpoint's bytes; None before the first fold.
    """

    state: State
    learner: Learner
    record: Mapping[str, Any]
    checkpoint: str | None

    @classmethod
    def untrained(cls) -> Model:
        """The start of every chain."""
        return cls(State.empty(), Learner.untrained(), {}, None)

    @classmethod
    def from_bytes(cls, content: bytes, what: str = "checkpoint") -> Model:
        """Restores a model; folding goes on bit for bit as if it had never been saved.

        Raises:
            ValueError: ``content`` is not a checkpoint; the message starts with ``what``.
        """
        tree = load(content, what)
        return cls(
            state=State.from_arrays(tree["state"]),
            learner=Learner.from_arrays(tree["learner"]),
            record=tree["record"],
            checkpoint=sha256(content),
        )

    def score(self, day: Day) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Fraud probability of each of the day's rows, in the day's order; shape (rows,).

        Only labels ``LABEL_LAG_DAYS`` older than the day are used.
        """
        return self.learner.probability(self.state.advance(day.date).columns(day))


def fold(
    base: Model,
    dataset: str,
    day: Day,
    *,
    label: str,
    testing: TestSet | None = None,
    untested: str = "there is no testing dataset",
) -> tuple[Model, bytes]:
    """Trains on one day after ``base``.

    Args:
        base: the chain so far.
        dataset: the queue item, kept in the record.
        day: its content.
        label: name of the label column, kept in the record.
        testing: a day to test the new model on.
        untested: why there is none, kept in the record.

    Returns:
        The new model and its checkpoint's bytes.

    Raises:
        DatasetRefused: the day is not after the last day of ``base``.
        UsageError: ``base`` has learned another label.
    """
    if base.record and label != base.record["label"]:
        raise UsageError(
            f"label {label!r}: the chain has learned {base.record['label']!r}; use that label, or "
            "another share"
        )
    if base.record and day.date.isoformat() <= base.record["date"]:
        raise DatasetRefused(
            f"its date {day.date} is not after {base.record['date']}, the last day learned "
            f"({base.record['dataset']}); `workload queue rebuild` replays the chain in date order"
        )
    dawn = base.state.advance(day.date)
    columns = dawn.columns(day)
    next_day = _tested(base.learner, columns, day) if base.checkpoint else None
    learner = base.learner.fit(columns, day.fraud)
    state = dawn.absorb(day)
    training = _tested(learner, columns, day)
    tested, note = _test(state, learner, day, testing) if testing else (None, untested)
    record: dict[str, Any] = {
        "order": base.record.get("order", 0) + 1,
        "dataset": dataset,
        "date": day.date.isoformat(),
        "sha256": day.sha256,
        "rows": day.rows,
        "frauds": int(np.count_nonzero(day.fraud)),
        "ids": _ids(dawn, day),
        "base": base.checkpoint,
        "checkpoint_file": checkpoint_name(dataset),
        "label": label,
        "label_lag_days": LABEL_LAG_DAYS,
        **_testing_identity(base, testing),
        "metrics": {
            "training": _without_histogram(training),
            "next_day": next_day,
            "testing": _without_histogram(tested),
            "testing_note": note,
        },
    }
    content = canonical.encode(
        {
            "format": FORMAT,
            "record": record,
            "state": state.to_arrays(),
            "learner": learner.to_arrays(),
            "numeric": {
                "dispatch": numeric.dispatch(),
                "numpy": np.__version__,
                "scikit_learn": sklearn.__version__,
            },
        }
    )
    return Model(state, learner, record, sha256(content)), content


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


def _testing_identity(base: Model, testing: TestSet | None) -> dict[str, str | None]:
    """What the chain is tested on: settled by its first fold, kept by all others."""
    if base.record:
        return {key: base.record[key] for key in ("testing_dataset", "testing_sha256")}
    return {
        "testing_dataset": testing.dataset if testing else None,
        "testing_sha256": testing.day.sha256 if testing else None,
    }


def _without_histogram(metrics: dict[str, object] | None) -> dict[str, object] | None:
    """Only the next-day tests are pooled over days; of the others the figures are enough."""
    return metrics and {key: value for key, value in metrics.items() if key != "histogram"}


def _test(
    state: State, learner: Learner, day: Day, testing: TestSet
) -> tuple[dict[str, object] | None, str | None]:
    test_day = testing.day
    if test_day.date <= day.date:
        return None, f"the testing day {test_day.date} is not after the training day"
    columns = state.advance(test_day.date).columns(test_day)
    return _tested(learner, columns, test_day), None


def _tested(learner: Learner, columns: NDArray[np.int32], day: Day) -> dict[str, object]:
    return evaluate(learner.probability(columns), day.fraud, day.customer, scenario=day.scenario)

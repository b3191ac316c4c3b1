"""The warning that a model goes stale comes when the world changes, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from workload.engine.chain import ChainState, Dataset, train
from workload.fraud.report.drift import BEFORE, RECENT, drift
from workload.fraud.report.scores import read_step
from workload.fraud.simulator import World
from workload.fraud.trainer import FraudTrainer
from workload.fraud.transactions import day_from_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import pandas as pd

WORLD, TRAINER = World(0), FraudTrainer()
CHANGED_ON = BEFORE + 8
"""A week more than what is compared with, in which the model learns the first frauds."""


def learned(
    point: ChainState[Any], days: range, changed: Callable[[pd.DataFrame], pd.DataFrame]
) -> tuple[ChainState[Any], list[Mapping[str, Any]]]:
    records = []
    for number in days:
        day = day_from_frame(changed(WORLD.day(number)))
        point, _ = train(TRAINER, point, Dataset(f"{day.date}.pkl", day.sha256, day))
        records.append(point.record)
    return point, records


def same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def dear(frame: pd.DataFrame) -> pd.DataFrame:
    """Make all amounts three times as large."""
    return frame.assign(TX_AMOUNT=frame["TX_AMOUNT"] * 3)


def elsewhere(frame: pd.DataFrame) -> pd.DataFrame:
    """Put frauds at compromised terminals at any terminal instead."""
    kinds = frame["TX_FRAUD_SCENARIO"].to_numpy()
    at_terminals = kinds == 2
    moved = np.where(at_terminals, 0, kinds)
    random = np.random.default_rng(len(frame))
    moved[random.choice(len(frame), int(at_terminals.sum()), replace=False)] = 2
    return frame.assign(TX_FRAUD_SCENARIO=moved, TX_FRAUD=(moved > 0).astype(int))


@pytest.fixture(scope="module")
def before() -> tuple[ChainState[Any], list[Mapping[str, Any]]]:
    return learned(ChainState.start(TRAINER), range(CHANGED_ON), same)


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        (same, []),
        (dear, ["average precision fell", "scores have shifted"]),
        (elsewhere, ["average precision fell"]),
    ],
)
def test_a_model_is_called_stale_when_the_world_changes_and_only_then(
    before: tuple[ChainState[Any], list[Mapping[str, Any]]],
    changed: Callable[[pd.DataFrame], pd.DataFrame],
    reasons: list[str],
) -> None:
    point, records = before
    _, later = learned(point, range(CHANGED_ON, CHANGED_ON + RECENT), changed)
    warning = drift([read_step(record) for record in [*records, *later]]).warning or ""
    found = [part for part in ("average precision fell", "scores have shifted") if part in warning]
    assert found == reasons, warning

"""What the state keeps is capped by a rule that gives the same bytes to everyone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from workload.engine import canonical
from workload.fraud import trainer as module
from workload.fraud.model.state import State
from workload.fraud.trainer import FraudTrainer
from workload.fraud.transactions import Day

if TYPE_CHECKING:
    import pytest

FIRST = dt.date(2018, 4, 1)


def day(number: int, ids: list[int]) -> Day:
    rows = len(ids)
    whose = np.array(ids, np.int64)
    return Day(
        date=FIRST + dt.timedelta(number),
        transaction=np.arange(rows),
        second=np.arange(rows, dtype=np.int32),
        customer=whose,
        terminal=whose,
        amount=np.ones(rows),
        scenario=np.zeros(rows, np.int8),
        sha256="",
    )


def after(days: list[list[int]]) -> State:
    state = State.empty()
    for number, ids in enumerate(days):
        date = FIRST + dt.timedelta(number)
        state = state.advance(date)
        state = state.absorb(day(number, ids))
    return state.advance(FIRST + dt.timedelta(len(days) + 8))


def test_ids_not_seen_for_longest_go_first_and_of_equal_ones_the_higher() -> None:
    state = after([[9, 8, 7], [1, 2, 3], [4]])
    for most, kept in ((7, [1, 2, 3, 4, 7, 8, 9]), (5, [1, 2, 3, 4, 7]), (3, [1, 2, 4]), (1, [4])):
        capped = state.capped(most)
        assert capped.customers.ids.tolist() == kept
        assert capped.terminals.ids.tolist() == kept


def test_a_cap_that_is_not_reached_changes_no_byte() -> None:
    state = after([[3, 1, 2], [2, 5]])
    assert canonical.encode(state.capped(4).to_arrays()) == canonical.encode(state.to_arrays())


def test_a_chain_goes_on_from_a_capped_state_and_its_record_says_what_was_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_ENTITIES", 2)
    trainer = FraudTrainer()
    kept = resumed = trainer.start()
    dropped = []
    for number in range(12):
        data = day(number, [2 * number, 2 * number + 1])
        trained = trainer.train(kept, data)
        again = trainer.train(resumed, data)
        dropped.append(trained.facts.get("dropped"))
        kept = trained.model
        content = canonical.encode(dict(trainer.save(again.model)))
        assert content == canonical.encode(dict(trainer.save(kept)))
        resumed = trainer.load(canonical.decode(content))
        assert len(kept.state.customers.ids) <= 2
        assert len(kept.state.terminals.ids) <= 2
    assert dropped[0] is None
    assert dropped[1] == {"cards": 2, "terminals": 0}
    assert dropped[-1] == {"cards": 2, "terminals": 2}

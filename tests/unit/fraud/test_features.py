"""Invariants of the state and of the columns made from it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import pickle
import platform
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from workload.engine import canonical
from workload.fraud.model import features
from workload.fraud.model.counters import (
    DAILY_DECAY,
    Groups,
    Table,
    decay,
    octave_bins,
    packed_ids,
    unpacked_ids,
)
from workload.fraud.model.features import COLUMNS, FEATURES, WIDTHS
from workload.fraud.model.labels import AMOUNT_BINS, amount_bins
from workload.fraud.model.state import FORGOTTEN, LABEL_LAG_DAYS, State
from workload.fraud.transactions import Day

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

START = dt.date(2018, 4, 1)
LARGE = 1 << 62


def make_day(number: int, *, rows: int = 120, cards: int = 40, terminals: int = 15) -> Day:
    """Make a random day of a small world: a third of the terminals and of the rows are bad."""
    rng = np.random.default_rng((7, number))
    customer = rng.integers(0, cards, rows)
    terminal = rng.integers(0, terminals, rows)
    amount = np.round(rng.gamma(4.0, 5.0 + customer % 7, rows), 2)
    amount[rng.random(rows) < 0.1] *= 6
    bad = ((terminal + number // 9) % 6 == 0) | (amount > 200)
    return Day(
        date=START + dt.timedelta(number),
        transaction=np.arange(rows, dtype=np.int64),
        second=np.sort(rng.integers(0, 86_400, rows)).astype(np.int32),
        customer=customer,
        terminal=terminal,
        amount=amount,
        scenario=np.where(bad, 2, 0).astype(np.int8),
        sha256="",
    )


def rows_of(day: Day, chosen: Any) -> Day:
    arrays = ("transaction", "second", "customer", "terminal", "amount", "scenario")
    return replace(day, **{name: getattr(day, name)[chosen] for name in arrays})


def folded(days: Iterable[Day], state: State | None = None) -> State:
    state = state or State.empty()
    for day in days:
        state = state.advance(day.date).absorb(day)
    return state


def columns_of(state: State, day: Day) -> NDArray[np.int32]:
    return features.columns(state.advance(day.date), day)


def content(state: State) -> bytes:
    return canonical.encode(state.to_arrays())


def stored(state: State) -> State:
    return State.from_arrays(canonical.decode(content(state)))


def relabelled(days: Sequence[Day], index: int) -> list[Day]:
    changed = replace(days[index], scenario=(1 - days[index].fraud).astype(np.int8))
    return [*days[:index], changed, *days[index + 1 :]]


DAYS = [make_day(number) for number in range(20)]
GAPS = [make_day(number) for number in (0, 1, 2, 5, 9, 10, 11, 18, 40, 41, 42, 49, 50, 57, 58)]


def test_columns_stay_in_their_block_one_per_feature() -> None:
    ends = np.cumsum(list(WIDTHS.values()))
    assert (len(ends), ends[-1]) == (FEATURES, COLUMNS)
    state = State.empty()
    for day in GAPS:
        columns = columns_of(state, day)
        assert columns.dtype == np.int32
        assert columns.shape == (day.rows, FEATURES)
        assert np.all(columns < ends)
        assert np.all(columns >= ends - list(WIDTHS.values()))
        state = folded([day], state)


@pytest.mark.parametrize("days", [DAYS, GAPS], ids=["every day", "gaps"])
def test_labels_matter_from_the_lag_on_and_never_before(days: list[Day]) -> None:
    last = len(days) - 1
    expected = columns_of(folded(days[:last]), days[last])
    seen = set()
    for index in range(len(days)):
        changed = relabelled(days, index)
        columns = columns_of(folded(changed[:last]), changed[last])
        age = (days[last].date - days[index].date).days
        if age < LABEL_LAG_DAYS:
            assert np.array_equal(columns, expected), f"labels of {age} days ago were used"
        elif age <= 20:
            assert not np.array_equal(columns, expected), f"labels of {age} days ago are missing"
            seen.add(age)
    assert min(seen) == LABEL_LAG_DAYS == 8


def test_labels_become_visible_on_exactly_the_lag_day_whenever_the_state_is_looked_at() -> None:
    one, other = folded(DAYS[:1]), folded(relabelled(DAYS[:1], 0))
    for age in range(1, 15):
        day = replace(DAYS[1], date=START + dt.timedelta(age))
        same = np.array_equal(columns_of(one, day), columns_of(other, day))
        assert same == (age < LABEL_LAG_DAYS)


class Blind:
    """A day whose label cannot be read."""

    def __init__(self, day: Day) -> None:
        self._day = day

    def __getattr__(self, name: str) -> object:
        if name in {"scenario", "fraud"}:
            raise AssertionError("the day's own label was read")
        return getattr(self._day, name)


def test_columns_never_read_the_label_of_their_own_day() -> None:
    state = folded(DAYS[:12]).advance(DAYS[12].date)
    blind: Any = Blind(DAYS[12])
    assert np.array_equal(features.columns(state, blind), features.columns(state, DAYS[12]))


def test_columns_depend_on_earlier_rows_of_the_day_only() -> None:
    state = folded(DAYS[:12]).advance(DAYS[12].date)
    day = DAYS[12]
    expected = features.columns(state, day)
    rng = np.random.default_rng(0)
    for kept in (1, 30, 60, 119):
        later = kept + rng.permutation(day.rows - kept)
        shuffled = rows_of(day, np.concatenate((np.arange(kept), later)))
        louder = replace(day, amount=np.where(np.arange(day.rows) < kept, day.amount, 1e9))
        for changed in (shuffled, louder, rows_of(day, np.arange(kept))):
            assert np.array_equal(features.columns(state, changed)[:kept], expected[:kept])


def test_columns_do_use_the_earlier_rows_of_the_same_card() -> None:
    state = folded(DAYS[:12]).advance(DAYS[12].date)
    day = rows_of(DAYS[12], slice(0, 3))
    day = replace(day, customer=np.zeros(3, np.int64), amount=np.array([500.0, 400.0, 30.0]))
    alone = features.columns(state, rows_of(day, slice(2, 3)))
    assert not np.array_equal(features.columns(state, day)[2:], alone)
    others = replace(day, customer=np.array([1, 1, 0]))
    assert np.array_equal(features.columns(state, others)[2:], alone)


def test_level_of_a_new_card_comes_from_its_earlier_rows() -> None:
    amount = np.array([50.0, 50.0, 100.0, 25.0])
    day = replace(rows_of(DAYS[0], slice(4)), customer=np.zeros(4, np.int64), amount=amount)
    ratio = State.empty().advance(START).rows(day).ratio
    level = [50.0, 50.0, 50.0, (2 * 50**0.5 + 100**0.5) ** 2 / 9]
    np.testing.assert_allclose(ratio, amount / level, rtol=1e-4)


def test_first_day_ever_has_columns_that_ignore_later_rows_too() -> None:
    state = State.empty().advance(START)
    assert np.array_equal(
        features.columns(state, rows_of(DAYS[0], slice(9)))[:9],
        features.columns(state, DAYS[0])[:9],
    )


@pytest.mark.parametrize("days", [DAYS, GAPS], ids=["every day", "gaps"])
def test_chain_stored_after_every_fold_equals_the_chain_never_stored(days: list[Day]) -> None:
    kept = resumed = State.empty()
    for day in days:
        kept, resumed = kept.advance(day.date), stored(resumed).advance(day.date)
        assert np.array_equal(features.columns(kept, day), features.columns(resumed, day))
        kept, resumed = kept.absorb(day), stored(resumed).absorb(day)
        assert content(kept) == content(resumed)
        assert content(stored(kept)) == content(kept)


def test_methods_leave_the_state_they_start_from_alone() -> None:
    state = folded(DAYS[:12])
    before = content(state)
    later = state.advance(DAYS[12].date)
    at_dawn = content(later)
    features.columns(later, DAYS[12])
    later.absorb(DAYS[12])
    later.advance(DAYS[19].date)
    assert content(state) == before
    assert content(later) == at_dawn


def test_order_in_which_ids_are_met_leaves_no_trace() -> None:
    forward, backward = Table.empty(1, 1, 1), Table.empty(1, 1, 1)
    for ids in ([3, 9], [1, 4], [LARGE]):
        forward, at = forward.including(np.array(ids))
        assert forward.ids[at].tolist() == ids
    for ids in ([LARGE], [1, 9], [3, 4]):
        backward, at = backward.including(np.array(ids))
        assert backward.ids[at].tolist() == ids
    assert canonical.encode(forward.to_arrays()) == canonical.encode(backward.to_arrays())

    day = DAYS[0]
    by_terminal = rows_of(day, np.argsort(day.terminal, kind="stable"))
    mixed = rows_of(day, np.lexsort((np.arange(day.rows), -day.customer)))
    # Order matters within a card only.
    assert content(folded([mixed])) == content(folded([day]))
    assert folded([by_terminal]).customers.ids.tolist() == folded([day]).customers.ids.tolist()
    for table in (folded(DAYS).customers, folded(DAYS).terminals):
        assert np.all(np.diff(table.ids) > 0)


def test_ids_are_names_only() -> None:
    def renamed(day: Day) -> Day:
        return replace(
            day, customer=day.customer * (LARGE // 50), terminal=LARGE - 15 + day.terminal
        )

    plain, strange = State.empty(), State.empty()
    for day in DAYS:
        assert np.array_equal(columns_of(plain, day), columns_of(strange, renamed(day)))
        plain, strange = folded([day], plain), stored(folded([renamed(day)], strange))
    assert strange.customers.ids.max() > 1 << 61


@pytest.mark.parametrize("ids", [[], [0], [LARGE], [0, 1, 300, 70_000, LARGE, (1 << 63) - 1]])
def test_packed_ids_unpack_to_themselves(ids: list[int]) -> None:
    assert unpacked_ids(packed_ids(np.array(ids, np.int64))).tolist() == ids


def test_days_of_one_row_work_from_the_first_on() -> None:
    state = State.empty()
    for number, day in enumerate(DAYS):
        single = rows_of(day, slice(number, number + 1))
        assert columns_of(state, single).shape == (1, FEATURES)
        state = stored(folded([single], state))


def test_entities_not_seen_for_long_are_dropped() -> None:
    state = folded(DAYS)
    assert len(state.customers.ids) == 40
    assert len(state.terminals.ids) == 15
    for number in range(20, 520):
        visitors = rows_of(make_day(number % 20), slice(3))
        visitors = replace(
            visitors,
            date=START + dt.timedelta(number),
            customer=np.arange(3) + 1000 * number,
            terminal=np.arange(3) + 1000 * number,
        )
        state = folded([visitors], state)
        # A visitor counts 1 and is dropped when 2 ** (-days / 30) is below FORGOTTEN.
        assert len(state.customers.ids) <= 40 + 3 * 121
        assert len(state.terminals.ids) <= 15 + 3 * 121
    assert FORGOTTEN == 2 ** (-120 / 30)
    assert state.customers.ids.min() >= 1000
    assert state.terminals.ids.min() >= 1000
    assert len(state.pending) == LABEL_LAG_DAYS


def test_long_silence_empties_the_state() -> None:
    state = folded(DAYS).advance(START + dt.timedelta(100_000))
    assert (len(state.customers.ids), len(state.terminals.ids), state.pending) == (0, 0, ())
    assert state.usual_root is None
    assert columns_of(state, replace(DAYS[0], date=state.date)).shape == (120, FEATURES)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [0.0, 1e-300, 1e9, 1e308])
def test_extreme_amounts_stay_finite(amount: float) -> None:
    state = State.empty()
    for day in DAYS:
        extreme = replace(day, amount=np.where(day.customer % 2 == 0, amount, day.amount))
        assert columns_of(state, extreme).max() < COLUMNS
        state = folded([extreme], state)
        for table in (state.customers, state.terminals):
            assert np.isfinite(table.counters).all()
            assert np.isfinite(table.sums).all()
        assert np.isfinite(state.roots)


def test_level_recovers_from_a_first_day_of_free_transactions() -> None:
    free = replace(DAYS[0], amount=np.zeros(DAYS[0].rows))
    state = folded([free, *DAYS[1:]])
    assert state.usual_root is not None
    assert state.usual_root > 1


def test_counters_saturate_below_infinity() -> None:
    rows = 200_000
    busy = Day(
        date=START,
        transaction=np.arange(rows, dtype=np.int64),
        second=np.zeros(rows, np.int32),
        customer=np.zeros(rows, np.int64),
        terminal=np.zeros(rows, np.int64),
        amount=np.full(rows, 10.0),
        scenario=np.ones(rows, np.int8),
        sha256="",
    )
    state = folded([busy]).advance(START + dt.timedelta(LABEL_LAG_DAYS))
    for table in (state.customers, state.terminals):
        assert np.isfinite(table.counters).all()
        assert table.counters.max() > 30_000


def test_amount_rule_is_learned_from_visible_labels() -> None:
    days = [
        replace(day, scenario=(day.amount > 150).astype(np.int8), amount=day.amount) for day in DAYS
    ]
    early, late = folded(days[:LABEL_LAG_DAYS]), folded(days)
    assert early.threshold == AMOUNT_BINS
    learned = late.threshold - amount_bins(np.array([150.0]))[0]
    assert abs(learned) <= 6


def test_episode_lasts_until_a_genuine_transaction() -> None:
    def one(number: int, fraud: int) -> Day:
        rows = np.arange(9)
        return replace(
            rows_of(DAYS[0], rows),
            date=START + dt.timedelta(number),
            customer=rows,
            terminal=rows,
            amount=np.full(9, 20.0),
            scenario=((rows == 0) * fraud).astype(np.int8),
        )

    def marks(labels: Sequence[int]) -> list[int]:
        state = folded(one(number, fraud) for number, fraud in enumerate(labels))
        state = state.advance(START + dt.timedelta(len(labels) - 1 + LABEL_LAG_DAYS))
        return [int(mark) for mark in state.terminals.marks[:, 0]]

    # Days since the episode's first fraud, its last, the last genuine one; days without news
    # before the episode; its frauds.
    assert marks([0]) == [255, 255, 8, 255, 255]
    assert marks([1]) == [8, 8, 255, 255, 1]
    assert marks([0, 0, 1]) == [8, 8, 9, 1, 1]
    assert marks([0, 1, 1, 1]) == [10, 8, 11, 1, 3]
    assert marks([0, 1, 1, 0]) == [10, 9, 8, 1, 2]
    assert marks([1, 1, 0, 1]) == [8, 8, 9, 1, 1]


def test_frauds_explained_by_the_card_do_not_accuse_the_terminal() -> None:
    state = folded(
        replace(day, scenario=np.zeros(day.rows, np.int8), amount=np.full(day.rows, 20.0))
        for day in DAYS[:10]
    )
    for amount, accused in ((20.0, True), (200.0, False)):
        day = replace(
            rows_of(DAYS[10], slice(1)), amount=np.array([amount]), scenario=np.ones(1, np.int8)
        )
        later = folded([day], state).advance(day.date + dt.timedelta(LABEL_LAG_DAYS))
        at = np.searchsorted(later.terminals.ids, day.terminal)
        assert (later.terminals.marks[1, at] == LABEL_LAG_DAYS).all() == accused
        assert later.terminals.counters[0, at] > 0.8


def test_state_refuses_to_go_back_or_to_take_another_day() -> None:
    state = folded(DAYS[:3])
    with pytest.raises(ValueError, match="cannot go back to 2018-04-01"):
        state.advance(START)
    with pytest.raises(ValueError, match="stands at 2018-04-03, the rows are of 2018-04-04"):
        features.columns(state, DAYS[3])
    with pytest.raises(ValueError, match="2018-04-03 has been absorbed already"):
        state.absorb(DAYS[2])
    arrays: Any = state.to_arrays()
    arrays["terminals"]["marks"] = arrays["terminals"]["marks"][:2]
    with pytest.raises(ValueError, match="this version has"):
        State.from_arrays(arrays)


def test_stored_state_of_a_full_world_is_small() -> None:
    state = State.empty()
    for number in range(12):
        day = make_day(number, rows=9_600, cards=5_000, terminals=10_000)
        fraud = np.arange(day.rows) % 110 == 0
        state = folded([replace(day, scenario=fraud.astype(np.int8))], state)
    arrays = state.to_arrays()
    assert len(state.customers.ids) > 4_900
    assert len(state.terminals.ids) > 9_500
    pending = len(pickle.dumps(arrays.pop("pending"), 5))
    assert pending <= 130_000
    assert len(pickle.dumps(arrays, 5)) <= 350_000


def test_octave_bins_agree_with_their_edges() -> None:
    values = np.array([0.0, 0.24, 0.25, 0.3, 0.375, 0.5, 0.74, 0.75, 1.0, 1.4, 1.5, 2.0, 9.0, 1e30])
    edges = [0.375, 0.5, 0.75, 1.0, 1.5, 2.0]
    bins = octave_bins(values, -2, 1, 7)
    assert bins.tolist() == np.searchsorted(edges, values, side="right").tolist()
    assert all(a <= b for a, b in pairwise(bins))


@pytest.mark.parametrize("half_life", DAILY_DECAY)
def test_half_is_left_after_a_half_life(half_life: int) -> None:
    assert decay(half_life, half_life) == pytest.approx(0.5, rel=1e-13)
    assert decay(half_life, 0) == 1


@pytest.mark.parametrize("scale", [1, 1 << 40])
def test_groups_agree_with_a_loop(scale: int) -> None:
    ids = np.random.default_rng(3).integers(0, 12, 200) * scale
    values = np.arange(200)
    groups = Groups.by(ids)
    in_order = values[groups.order]
    total, before = groups.total(in_order), groups.before(in_order)
    for position, row in enumerate(groups.order):
        same = ids == ids[row]
        assert groups.ids[groups.group[position]] == ids[row]
        assert total[groups.group[position]] == values[same].sum()
        assert before[position] == values[:row][same[:row]].sum()


def fingerprint() -> str:
    """Hash of the states and the columns of a chain of days."""
    digest = hashlib.sha256()
    state = State.empty()
    for number in (*range(14), 20, 33):
        day = make_day(number, rows=700, cards=200, terminals=90)
        state = state.advance(day.date)
        digest.update(features.columns(state, day).tobytes())
        state = state.absorb(day)
        digest.update(content(state))
    return digest.hexdigest()


LEVELS = {
    "NumPy baseline": {"NPY_ENABLE_CPU_FEATURES": "X86_V2"},
    "libm without FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"},
    "native": {},
}


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="x86-64 dispatch levels")
def test_states_and_columns_are_the_same_at_every_dispatch_level() -> None:
    native = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NPY_ENABLE_CPU_FEATURES", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES"}
    }
    program = "from tests.unit.fraud import test_features; print(test_features.fingerprint())"
    printed = {
        level: subprocess.run(
            [sys.executable, "-c", program],
            env={**native, **pins},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for level, pins in LEVELS.items()
    }
    assert printed == dict.fromkeys(LEVELS, fingerprint())

"""The ceiling is what it claims: calibrated on the simulator's days, and blind to later labels."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.ceiling import Cards, Clairvoyant, Estimated, Terminals
from workload.errors import UsageError
from workload.fraud.evaluation.contenders import Prepared
from workload.fraud.simulator import DEFAULT_START, World
from workload.fraud.transactions import Day, day_from_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAYS, SETTLED, LAG = 80, 40, 8
"""Scenarios are all under way, and their labels known, from day `SETTLED` on."""


@pytest.fixture(scope="module")
def world() -> World:
    return World(11, customers=2500, terminals=5000)


@pytest.fixture(scope="module")
def days(world: World) -> list[Prepared]:
    none = np.empty((0, 0), np.int32)
    return [Prepared(each, day_from_frame(world.day(each)), none) for each in range(DAYS)]


def _probabilities(world: World, days: list[Prepared]) -> list[NDArray[np.float64]]:
    ceiling = Clairvoyant(world, days, LAG)
    return [ceiling.fit(day).probability(day) for day in days]


def _one_row_a_day(amounts: list[float], scenarios: dict[int, int]) -> list[Prepared]:
    """Return days on which customer 0 pays an amount at terminal 0."""
    zero, none = np.zeros(1, np.int64), np.empty((0, 0), np.int32)
    days = []
    for number, amount in enumerate(amounts):
        scenario = np.array([scenarios.get(number, 0)], np.int8)
        date = DEFAULT_START + dt.timedelta(number)
        day = Day(date, zero, zero.astype(np.int32), zero, zero, np.array([amount]), scenario, "")
        days.append(Prepared(number, day, none))
    return days


def test_a_compromised_terminal_stays_so_for_as_long_as_its_start_allows() -> None:
    days = _one_row_a_day([10.0] * 7, {5: 2, 6: 2})
    terminals = Terminals(1_000_000, 40)
    for number in (*range(4), 5, 6):  # nothing is sold on day 4: it began on that day or the next
        terminals.see(number, days[number].day)
    probability = [terminals.bad(number)[0] for number in (30, 31, 32, 33)]
    assert probability == pytest.approx([1.0, 1.0, 0.5, 0.0], abs=1e-3)


def test_a_terminal_that_sells_again_is_as_safe_as_any_that_was_seen_so_lately() -> None:
    days = _one_row_a_day([10.0] * 8, {5: 2, 6: 2})
    terminals = Terminals(1000, 40)
    for each in days:
        terminals.see(each.number, each.day)
    probability = [terminals.bad(number)[0] for number in (8, 15, 60)]
    assert probability == pytest.approx([2 / 1000, 8 * 2 / 1000, 28 * 2 / 1000])


@pytest.mark.parametrize("amount", [0.7, 2.0, 4.0])
def test_a_cards_probability_is_that_of_all_starts_counted_out(world: World, amount: float) -> None:
    mean = float(world.mean_amount[0])
    amounts = [mean * (0.6 + 0.1 * (each % 7)) for each in range(46)]
    amounts[45] = mean * amount
    amounts[43] = mean * 3.0
    days = _one_row_a_day(amounts, {34: 3, 36: 3})
    cards = Cards(world, len(days))
    for each in days[:-1]:
        cards.stolen(each.number, each.day)
    for each in days[:38]:
        cards.see(each.number, each.day)
    [share] = cards.stolen(45, days[45].day)

    def density(paid: float) -> float:
        uniform = norm.cdf(-2.0) / (2.0 * mean) if paid <= 2.0 * mean else 0.0
        return float(norm.pdf(paid, mean, mean / 2.0) + uniform)

    def likelihood(number: int, compromised: bool) -> float:
        if number <= 37:
            stolen = number in (34, 36)
            return float(not stolen) if not compromised else 1 / 3 if stolen else 2 / 3
        paid = amounts[number]
        if not compromised:
            return density(paid)
        return density(paid / 5.0) / 5.0 / 3.0 + density(paid) * 2.0 / 3.0

    def of(start: int) -> float:
        return math.prod(likelihood(each, start <= each < start + 14) for each in range(3, 46))

    active, every = (sum(of(start) for start in range(first, 46)) for first in (32, 3))
    thief = density(amounts[45] / 5.0) / 15.0
    expected = active / every * thief / (thief + density(amounts[45]) * 2.0 / 3.0)
    assert share == pytest.approx(expected, rel=1e-6)


def test_as_many_frauds_come_as_are_expected_at_every_probability(
    world: World, days: list[Prepared]
) -> None:
    probability = np.concatenate(_probabilities(world, days)[SETTLED:])
    fraud = np.concatenate([each.day.fraud for each in days[SETTLED:]])
    assert np.all((probability >= 0.0) & (probability <= 1.0))
    for low, high in ((0.0, 0.02), (0.02, 0.2), (0.2, 0.6), (0.6, 0.95), (0.95, 1.01)):
        among = (probability >= low) & (probability < high)
        expected, spread = probability[among].sum(), np.sqrt(probability[among].sum())
        assert among.sum() > 50
        # Frauds of one terminal or card come together, so they spread more than a Poisson count.
        assert abs(fraud[among].sum() - expected) < 4 * spread + 0.05 * expected


def test_a_label_that_has_not_arrived_changes_no_probability(
    world: World, days: list[Prepared]
) -> None:
    day = 50
    known = day - LAG
    lied = [
        each
        if each.number <= known
        else replace(each, day=replace(each.day, scenario=3 - each.day.scenario))
        for each in days
    ]
    told, misled = _probabilities(world, days), _probabilities(world, lied)
    for number in range(day + 1):
        assert np.array_equal(told[number], misled[number])
    assert not np.array_equal(told[day + 1], misled[day + 1])


def test_rows_later_in_the_day_change_no_probability(world: World, days: list[Prepared]) -> None:
    last = days[45]
    kept = {
        name: getattr(last.day, name)[: last.day.rows // 2]
        for name in ("transaction", "second", "customer", "terminal", "amount", "scenario")
    }
    until_noon = [*days[:45], replace(last, day=replace(last.day, **kept))]
    whole, half = (_probabilities(world, each)[-1] for each in (days[:46], until_noon))
    assert np.allclose(whole[: half.size], half, rtol=1e-9)


def test_mean_amounts_can_be_told_from_the_days_alone(world: World, days: list[Prepared]) -> None:
    told = Estimated.of([each.day for each in days])
    assert (told.customers, told.terminals) == (world.customers, world.terminals)
    times = np.bincount(np.concatenate([each.day.customer for each in days]))
    often = times >= 100
    assert often.sum() > 500
    off = (told.mean_amount / world.mean_amount - 1.0)[often] * np.sqrt(times[often]) / 0.5
    assert abs(off.mean()) < 0.2  # in standard errors of one customer's mean
    assert off.std() == pytest.approx(1.0, abs=0.15)


def test_ids_that_are_no_numbers_of_a_list_are_refused(days: list[Prepared]) -> None:
    far = replace(days[0].day, customer=days[0].day.customer + 10**12)
    with pytest.raises(UsageError, match=r"CUSTOMER_ID up to 100000000.*count from 0"):
        Estimated.of([far])

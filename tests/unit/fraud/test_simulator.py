"""The simulator: days that depend on seed and number only, with the handbook's statistics."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from workload.errors import UsageError
from workload.fraud.simulator import FORMATS, World, simulate
from workload.fraud.transactions import read_day

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "TRANSACTION_ID": "int64",
    "TX_DATETIME": "datetime64[us]",
    "CUSTOMER_ID": "int64",
    "TERMINAL_ID": "int64",
    "TX_AMOUNT": "float64",
    "TX_TIME_SECONDS": "int64",
    "TX_TIME_DAYS": "int64",
    "TX_FRAUD": "int64",
    "TX_FRAUD_SCENARIO": "int64",
}


@pytest.fixture(scope="module")
def world() -> World:
    return World(0)


@pytest.fixture(scope="module")
def month(world: World) -> pd.DataFrame:
    """Return days 30 to 59: all scenarios in full swing."""
    return pd.concat([world.day(number) for number in range(30, 60)], ignore_index=True)


def test_a_day_has_the_columns_of_the_tutorial_in_order_and_typed(world: World) -> None:
    frame = world.day(2)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    assert list(frame.columns) == list(COLUMNS)


def test_a_day_is_a_pure_function_of_seed_and_number(world: World) -> None:
    world.day(7)
    pd.testing.assert_frame_equal(world.day(40), World(0).day(40))
    assert not world.day(40).equals(World(1).day(40))


def test_every_day_and_every_seed_draws_anew() -> None:
    world = World(0)
    amounts = [world.day(number)["TX_AMOUNT"].tolist() for number in (0, 1)]
    world.seed = 1  # the same customers and terminals
    amounts.append(world.day(0)["TX_AMOUNT"].tolist())
    assert len({tuple(amount[:50]) for amount in amounts}) == 3


def test_the_start_date_moves_the_dates_and_nothing_else(world: World) -> None:
    here, there = world.day(3), world.day(3, dt.date(2024, 2, 28))
    assert set(there["TX_DATETIME"].dt.date) == {dt.date(2024, 3, 2)}
    pd.testing.assert_frame_equal(
        here.drop(columns="TX_DATETIME"), there.drop(columns="TX_DATETIME")
    )


def test_rows_are_in_order_of_time_within_their_day(month: pd.DataFrame) -> None:
    second = month["TX_TIME_SECONDS"].to_numpy()
    assert (np.diff(second) >= 0).all()
    assert (second // 86_400 == month["TX_TIME_DAYS"]).all()
    elapsed = (month["TX_DATETIME"] - pd.Timestamp("2018-04-01")) // pd.Timedelta(seconds=1)
    assert (elapsed == second).all()


def test_transaction_ids_are_unique_over_days_and_give_day_and_row(month: pd.DataFrame) -> None:
    assert month["TRANSACTION_ID"].is_unique
    assert (month["TRANSACTION_ID"] // 1_000_000 == month["TX_TIME_DAYS"]).all()
    assert (month.groupby("TX_TIME_DAYS")["TRANSACTION_ID"].min() % 1_000_000 == 0).all()


def test_amounts_are_whole_cents(month: pd.DataFrame) -> None:
    amount = month["TX_AMOUNT"].to_numpy()
    assert (amount == np.round(amount, 2)).all()
    assert amount.min() >= 0


def test_volume_and_fraud_are_those_of_the_handbook(month: pd.DataFrame) -> None:
    # The handbook's own files: 9,585 rows a day of mean 53.6, 0.84 % fraud over half a year.
    assert 9_300 < len(month) / 30 < 10_000
    assert 51 < month["TX_AMOUNT"].mean() < 58
    share = month["TX_FRAUD_SCENARIO"].value_counts(normalize=True)
    assert 0.0075 < month["TX_FRAUD"].mean() < 0.0105
    assert 0.0003 < share[1] < 0.0010
    assert 0.0045 < share[2] < 0.0065
    assert 0.0018 < share[3] < 0.0038
    assert (month["TX_FRAUD"] == (month["TX_FRAUD_SCENARIO"] > 0)).all()


def test_every_amount_above_220_is_a_fraud_and_scenario_1_has_no_other(
    month: pd.DataFrame,
) -> None:
    assert month.loc[month["TX_AMOUNT"] > 220, "TX_FRAUD"].all()
    assert (month.loc[month["TX_FRAUD_SCENARIO"] == 1, "TX_AMOUNT"] > 220).all()


def test_a_terminal_is_compromised_for_28_days_and_all_it_does_is_fraud(world: World) -> None:
    # Days 0 and 28 share no terminal but by chance; day 27 still has those of day 0.
    first = world._bad_terminals(0)
    assert first.sum() == 2
    assert world._bad_terminals(27)[first].all()
    assert not world._bad_terminals(28)[first].all()
    frame = world.day(27)
    at_bad = world._bad_terminals(27)[frame["TERMINAL_ID"].to_numpy()]
    assert set(frame.loc[at_bad, "TX_FRAUD_SCENARIO"]) <= {2, 3}
    assert not (frame.loc[~at_bad, "TX_FRAUD_SCENARIO"] == 2).any()


def test_a_customer_is_compromised_for_14_days_and_a_third_of_the_payments_are_stolen(
    world: World,
) -> None:
    first = world._bad_customers(0)
    assert first.sum() == 3
    assert world._bad_customers(13)[first].all()
    assert not world._bad_customers(14)[first].any()
    stolen, honest = [], []
    for number in range(14, 44):
        frame = world.day(number)
        bad = world._bad_customers(number)[frame["CUSTOMER_ID"].to_numpy()]
        third = (frame["TX_FRAUD_SCENARIO"] == 3).to_numpy()
        assert not (third & ~bad).any()
        stolen.append(frame.loc[third, "TX_AMOUNT"])
        honest.append(frame.loc[bad & ~third, "TX_AMOUNT"])
    counts = sum(map(len, stolen)), sum(map(len, honest))
    assert 0.28 < counts[0] / sum(counts) < 0.38
    assert 4 < pd.concat(stolen).mean() / pd.concat(honest).mean() < 6


def test_customers_use_only_terminals_closer_than_the_radius() -> None:
    random = np.random.default_rng(5)
    customers, terminals = random.random((40, 2)) * 100, random.random((700, 2)) * 100
    from workload.fraud.simulator import _terminals_in_reach  # noqa: PLC0415 - internal on purpose

    offsets, members = _terminals_in_reach(customers, terminals)
    for number, place in enumerate(customers):
        distance = np.hypot(*(terminals - place).T)
        expected = np.flatnonzero(distance < 5)
        assert members[offsets[number] : offsets[number + 1]].tolist() == expected.tolist()


def test_a_customer_out_of_reach_of_every_terminal_never_pays() -> None:
    lonely = World(3, customers=50, terminals=20)
    reach = np.diff(lonely._offsets)
    assert (reach == 0).any()
    seen = np.unique(np.concatenate([lonely.day(day)["CUSTOMER_ID"] for day in range(20)]))
    assert (reach[seen] > 0).all()


def test_poisson_counts_follow_their_rate() -> None:
    from workload.fraud.simulator import _poisson_thresholds  # noqa: PLC0415 - internal on purpose

    rate = np.array([0.0, 0.3, 1.0, 2.5, 4.0])
    thresholds = _poisson_thresholds(rate)
    assert np.allclose(thresholds[:, 0], np.exp(-rate), rtol=1e-14)
    assert np.allclose(thresholds[2, 1:3], [2 / np.e, 2.5 / np.e], rtol=1e-14)
    assert np.allclose(thresholds[:, -1], 1, rtol=1e-11)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_bytes_of_a_day_do_not_depend_on_how_many_are_written(
    tmp_path: Path, file_format: str
) -> None:
    short = simulate(tmp_path / "short", days=1, file_format=file_format)
    long = simulate(tmp_path / "long", days=2, file_format=file_format)
    assert short[0].read_bytes() == long[0].read_bytes()
    assert short[-1].read_bytes() == long[1].read_bytes()  # the day after the last one


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_reads_back_as_the_day(
    tmp_path: Path, world: World, file_format: str
) -> None:
    seen: list[tuple[str, int]] = []
    start = dt.date(2020, 2, 28)
    paths = simulate(
        tmp_path,
        days=2,
        start=start,
        file_format=file_format,
        on_day=lambda path, rows: seen.append((str(path.relative_to(tmp_path)), rows)),
    )
    frames = [world.day(number, start) for number in range(3)]
    names = [
        f"training/2020-02-28.{file_format}",
        f"training/2020-02-29.{file_format}",
        f"testing/test_dataset.{file_format}",
    ]
    assert [str(path.relative_to(tmp_path)) for path in paths] == names
    assert seen == [(name, len(frame)) for name, frame in zip(names, frames, strict=True)]
    for path, frame in zip(paths, frames, strict=True):
        day = read_day(path)
        assert day.date == frame["TX_DATETIME"].iloc[0].date()
        assert (day.transaction == frame["TRANSACTION_ID"]).all()
        assert (day.amount == frame["TX_AMOUNT"]).all()
        assert (day.scenario == frame["TX_FRAUD_SCENARIO"]).all()
        reader = pd.read_pickle if file_format == "pkl" else pd.read_parquet
        pd.testing.assert_frame_equal(reader(path), frame, check_column_type=False)


def test_a_pickled_day_names_its_columns_without_pyarrow(tmp_path: Path) -> None:
    assert b"pyarrow" not in simulate(tmp_path, days=1)[0].read_bytes()


def test_an_identical_file_is_left_alone_and_a_different_one_replaced(tmp_path: Path) -> None:
    first, last = simulate(tmp_path, days=1)
    before = first.stat()
    last.write_bytes(b"something else")
    simulate(tmp_path, days=1)
    after = first.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert read_day(last).rows > 9_000
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "2018-04-01.pkl",
        "test_dataset.pkl",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days": 0}, "days must be 1 or more, not 0"),
        ({"days": 1, "file_format": "csv"}, "format must be one of pkl, parquet, not 'csv'"),
        ({"days": 1, "seed": -1}, "seed must be 0 or more, not -1"),
        ({"days": 2, "start": dt.date(9999, 12, 30)}, "go beyond 9999-12-31"),
    ],
)
def test_bad_arguments_give_one_line_and_no_file(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=message):
        simulate(out, **arguments)  # type: ignore[arg-type]
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 0}, "customers must be 1 to 250000, not 0"),
        ({"customers": 300_000}, "customers must be 1 to 250000"),
        ({"terminals": 0}, "terminals must be 1 or more, not 0"),
    ],
)
def test_impossible_worlds_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        World(**arguments)


def test_a_negative_day_is_an_error(world: World) -> None:
    with pytest.raises(ValueError, match="day number -1 is negative"):
        world.day(-1)

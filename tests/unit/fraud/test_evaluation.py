"""The protocols give nobody a label too early, and the figures are what they are called."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.support.fleet import write_day
from workload.errors import DatasetRefused, UsageError
from workload.fraud.evaluation import protocols
from workload.fraud.evaluation.baselines import learned_baselines
from workload.fraud.evaluation.calibration import calibration, scenarios
from workload.fraud.evaluation.contenders import AmountOnly, Majority, Prepared, Streaming
from workload.fraud.evaluation.protocols import Learned, Protocol, Scored
from workload.fraud.evaluation.published import NAMES, WINDOWS, with_features
from workload.fraud.evaluation.resampling import Draws, figures, interval
from workload.fraud.evaluation.results import Settings, check, prepared
from workload.fraud.evaluation.results import evaluate as judge
from workload.fraud.evaluation.text import as_text
from workload.fraud.metrics import evaluate
from workload.fraud.simulator import World
from workload.fraud.transactions import Day, day_from_frame
from workload.share.listing import day_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

START = dt.date(2018, 4, 1)
SCORES = {Protocol.handbook: protocols.handbook, Protocol.prequential: protocols.prequential}


@pytest.fixture(scope="module")
def days() -> list[Day]:
    """Return 150 days of a small world."""
    world = World(seed=3, customers=150, terminals=1000)
    return [day_from_frame(world.day(number)) for number in range(150)]


def shuffled(days: Sequence[Day], seed: int) -> list[Day]:
    random = np.random.default_rng(seed)
    return [replace(day, scenario=random.permutation(day.scenario)) for day in days]


def flipped_from(days: Sequence[Day], number: int) -> list[Day]:
    changed = [replace(day, scenario=(1 - day.fraud).astype(np.int8)) for day in days[number:]]
    return [*days[:number], *changed]


def run(
    days: Sequence[Day],
    protocol: Protocol,
    lag: int = 8,
    contenders: dict[str, Any] | None = None,
) -> list[Scored]:
    in_order = prepared([(day, None) for day in days], START, lag, lambda _: None)
    return SCORES[protocol](in_order, contenders or {"learner": Streaming.untrained()}, lag)


@dataclass(frozen=True)
class Recorder:
    """Says which days it has learned from whenever it is asked to score."""

    log: list[tuple[int, tuple[int, ...]]]
    learned: tuple[int, ...] = ()

    def fit(self, day: Prepared) -> Recorder:
        return Recorder(self.log, (*self.learned, day.number))

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        self.log.append((day.number, self.learned))
        return np.full(day.day.rows, 0.5)


@pytest.mark.parametrize("lag", [1, 8, 15])
def test_prequential_scores_a_day_with_labels_that_have_arrived_and_the_window_with_7_days(
    days: list[Day], lag: int
) -> None:
    log: list[Any] = []
    run(days[:60], Protocol.prequential, lag, {"recorder": Recorder(log)})
    first = max(38, 30 + lag)
    assert [number for number, _ in log[::2]] == list(range(first, 60))
    for (number, chain), (same, window) in zip(log[::2], log[1::2], strict=True):
        assert number == same
        assert chain == tuple(range(number - lag + 1))
        assert window == chain[-7:]


@pytest.mark.parametrize("lag", [1, 8, 15])
def test_handbook_trains_on_the_published_days_and_tests_after_the_delay(
    days: list[Day], lag: int
) -> None:
    log: list[Any] = []
    folds = run(days, Protocol.handbook, lag, {"recorder": Recorder(log)})
    starts = [94, 101, 108, 115]
    assert [fold.training for fold in folds] == [(start, start + 6) for start in starts]
    assert START + dt.timedelta(starts[-1]) == dt.date(2018, 7, 25)
    expected = []
    for start in starts:
        test = range(start + 6 + lag, start + 13 + lag)
        for learned in (tuple(range(start + 7)), tuple(range(start, start + 7))):
            expected += [(number, learned) for number in test]
    assert sorted(log) == sorted(expected)
    assert folds[-1].test == (121 + lag, 127 + lag)


def test_cards_known_as_compromised_are_left_out_of_the_handbook_test(days: list[Day]) -> None:
    for fold in run(days, Protocol.handbook):
        assert fold.training
        start = fold.training[0]
        for number in range(fold.test[0], fold.test[1] + 1):
            known = [days[n].customer[days[n].fraud] for n in range(start, number - 7)]
            day = days[number]
            kept = ~np.isin(day.customer, np.concatenate(known))
            assert 0 < kept.sum() < day.rows
            assert np.array_equal(fold.customer[fold.number == number], day.customer[kept])
            assert np.array_equal(fold.fraud[fold.number == number], day.fraud[kept])


@pytest.mark.parametrize(
    ("protocol", "lag"),
    [(Protocol.handbook, 8), (Protocol.handbook, 3), (Protocol.prequential, 8)],
)
def test_labels_change_scores_from_the_day_they_arrive_and_never_before(
    days: list[Day], protocol: Protocol, lag: int
) -> None:
    last, flipped = (150, 120) if protocol is Protocol.handbook else (64, 44)
    contenders = {
        "learner": Streaming.untrained(),
        "majority": Majority(),
        "amount": AmountOnly.untrained(),
    }
    before = run(days[:last], protocol, lag, contenders)
    after = run(flipped_from(days[:last], flipped), protocol, lag, contenders)
    changed = set()
    for one, other in zip(before, after, strict=True):
        early, same = one.number < flipped + lag, other.number < flipped + lag
        for name, probability in one.probability.items():
            assert np.array_equal(probability[early], other.probability[name][same]), name
            if not np.array_equal(probability[~early], other.probability[name][~same]):
                changed.add(name)
    assert ("learner", Learned.chain) in changed
    assert ("learner", Learned.window) in changed


@pytest.mark.parametrize("protocol", Protocol)
def test_shuffled_labels_are_predicted_no_better_than_by_chance_and_real_ones_are(
    days: list[Day], protocol: Protocol
) -> None:
    last = 136 if protocol is Protocol.handbook else 100
    by_chance = [gains(shuffled(days[:last], seed), protocol) for seed in range(6)]
    assert np.all(np.mean(by_chance, axis=0) < 1.2), by_chance
    assert np.all(np.array(gains(days[:last], protocol)) > 5)


def gains(days: list[Day], protocol: Protocol) -> list[float]:
    """Return average precision over the share of frauds, tests pooled, by what was learned from."""
    tests = run(days, protocol)
    fraud = np.concatenate([test.fraud for test in tests])
    return [
        average_precision_score(
            fraud, np.concatenate([test.probability["learner", learned] for test in tests])
        )
        / fraud.mean()
        for learned in Learned
    ]


def test_gaps_in_the_days_make_labels_arrive_on_their_calendar_day(days: list[Day]) -> None:
    log: list[Any] = []
    kept = [day for number, day in enumerate(days[:60]) if number not in {33, 34, 41, 50}]
    run(kept, Protocol.prequential, 8, {"recorder": Recorder(log)})
    numbers = [(day.date - START).days for day in kept]
    for (number, chain), (_, window) in zip(log[::2], log[1::2], strict=True):
        assert chain == tuple(each for each in numbers if each <= number - 8)
        assert window == tuple(each for each in chain if each > number - 15)


# --- figures --------------------------------------------------------------------------------------


def a_test(seed: int = 0, *, rows: int = 900, cards: int = 60, leave: bool = False) -> Any:
    """Return rows of three days with ties among the scores, and scores."""
    random = np.random.default_rng(seed)
    number = np.sort(random.integers(10, 13, rows))
    customer = random.integers(0, cards, rows) * 7
    fraud = random.random(rows) < np.where(customer % 3 == 0, 0.2, 0.02)
    probability = np.round(np.clip(random.normal(0.2 + 0.2 * fraud, 0.15), 0, 1), 2)
    scenario = (fraud * random.integers(1, 4, rows)).astype(np.int8)
    test = Scored(None, (10, 12), leave, number, fraud, customer, scenario, {})
    return test, probability


def test_figures_of_the_test_itself_are_those_of_scikit_learn_and_of_the_metrics() -> None:
    test, probability = a_test()
    got = {
        name: values[0] for name, values in figures(test, probability, Draws.of([test], 5)).items()
    }
    assert got["average_precision"] == pytest.approx(
        average_precision_score(test.fraud, probability)
    )
    assert got["roc_auc"] == pytest.approx(roc_auc_score(test.fraud, probability))
    assert got["brier"] == pytest.approx(np.mean((probability - test.fraud) ** 2))
    by_day = [
        evaluate(probability[rows], test.fraud[rows], test.customer[rows])["card_precision_100"]
        for rows in (test.number == day for day in (10, 11, 12))
    ]
    assert got["card_precision_100"] == pytest.approx(np.mean(by_day))  # type: ignore[arg-type]
    for wanted in (50, 80, 90):
        recalls = [
            (test.fraud & alarm).sum() / test.fraud.sum()
            for alarm in (probability >= score for score in np.unique(probability))
            if test.fraud[alarm].mean() >= wanted / 100
        ]
        assert got[f"recall_at_precision_{wanted}"] == pytest.approx(max(recalls, default=0.0))


def test_figures_of_a_draw_are_those_of_its_cards_repeated() -> None:
    test, probability = a_test(1, cards=300)
    draws = Draws.of([test], 4)
    assert np.all(draws.weights.sum(axis=0) == len(draws.cards))
    got = figures(test, probability, draws)
    for column in range(1, 5):
        times = draws.weights[np.searchsorted(draws.cards, test.customer), column].astype(int)
        copy = np.concatenate([np.arange(each) for each in times])
        rows = np.repeat(np.arange(len(times)), times)
        fraud, predicted = test.fraud[rows], probability[rows]
        assert got["average_precision"][column] == pytest.approx(
            average_precision_score(fraud, predicted)
        )
        assert got["roc_auc"][column] == pytest.approx(roc_auc_score(fraud, predicted))
        assert got["brier"][column] == pytest.approx(np.mean((predicted - fraud) ** 2))
        cards = test.customer[rows] * 100 + copy  # each drawn card a card of its own
        by_day = [
            evaluate(predicted[today], fraud[today], cards[today])["card_precision_100"]
            for today in (test.number[rows] == day for day in (10, 11, 12))
        ]
        assert got["card_precision_100"][column] == pytest.approx(np.mean(by_day))  # type: ignore[arg-type]


def test_compromised_cards_that_were_found_leave_the_pool() -> None:
    test, probability = a_test(2, rows=3000, cards=600, leave=True)
    found: set[int] = set()
    precisions = []
    caught = 0
    for day in (10, 11, 12):
        rows = np.flatnonzero(test.number == day)
        best: dict[int, float] = {}
        for row in rows:
            card = int(test.customer[row])
            best[card] = max(best.get(card, 0.0), probability[row])
        pool = sorted((card for card in best if card not in found), key=lambda c: (-best[c], c))
        frauds = set(test.customer[rows][test.fraud[rows]].tolist())
        hits = set(pool[:100]) & frauds
        caught += sum(
            bool(test.fraud[row]) and int(test.customer[row]) in (hits | found) for row in rows
        )
        precisions.append(len(hits) / 100)
        found |= hits
    assert figures(test, probability, Draws.of([test], 3))["card_precision_100"][0] == (
        pytest.approx(np.mean(precisions))
    )
    counts = scenarios(test, probability)
    assert sum(count["caught"] for count in counts.values()) == caught
    assert sum(count["frauds"] for count in counts.values()) == test.fraud.sum()
    assert set(counts) == {"1", "2", "3"}


def test_interval_covers_the_middle_of_the_draws_and_not_the_test_itself() -> None:
    values = np.concatenate(([99.0], np.arange(1001.0)))
    assert interval(values) == pytest.approx((25.0, 975.0))
    assert interval(np.array([1.0, np.nan, np.nan])) is None


def test_tests_without_frauds_have_no_figures_instead_of_wrong_ones() -> None:
    test, probability = a_test()
    none = replace(test, fraud=np.zeros(len(probability), bool), scenario=test.scenario * 0)
    got = figures(none, probability, Draws.of([none], 3))
    assert np.isnan(got["average_precision"]).all()
    assert np.isnan(got["roc_auc"]).all()
    assert np.isnan(got["recall_at_precision_50"]).all()
    assert np.all(got["card_precision_100"] == 0)
    assert scenarios(none, probability) == {}


def test_calibration_compares_predicted_probability_with_observed_share() -> None:
    test, _ = a_test()
    perfect = calibration(test, test.fraud.astype(float))
    assert perfect["error"] == 0
    assert perfect["expected"] == perfect["observed"] == test.fraud.sum()
    wrong: Any = calibration(test, np.full(len(test.fraud), 0.25))
    share = test.fraud.mean()
    assert wrong["error"] == pytest.approx(abs(0.25 - share))
    assert wrong["groups"] == [
        {"rows": 900, "probability": 0.25, "share": pytest.approx(share)},
    ]


# --- baselines ------------------------------------------------------------------------------------


def test_published_features_are_those_of_a_plain_count(days: list[Day]) -> None:
    few = [
        replace(
            day,
            **{
                name: getattr(day, name)[:60]
                for name in ("transaction", "second", "customer", "terminal", "amount", "scenario")
            },
        )
        for day in days[100:145]
    ]
    few = [
        replace(day, customer=day.customer % 9, terminal=day.terminal % 9, second=day.second // 7)
        for day in few
    ]
    got = np.concatenate([features for _, features in with_features(few, 8)])
    time = np.concatenate([d.second + 86_400 * (d.date - few[0].date).days for d in few])
    column: dict[str, Any] = {
        name: np.concatenate([getattr(day, name) for day in few])
        for name in ("customer", "terminal", "amount", "fraud")
    }
    for row in [*range(0, len(time), 37), len(time) - 1]:
        expected = [
            column["amount"][row],
            few[row // 60].date.weekday() >= 5,
            time[row] % 86_400 < 7 * 3_600,
        ]
        until = np.arange(len(time)) <= row
        mine = until & (column["customer"] == column["customer"][row])
        for window in WINDOWS:
            chosen = mine & (time > time[row] - window * 86_400)
            expected += [chosen.sum(), column["amount"][chosen].mean()]
        end = time[row] - 7 * 86_400
        for window in WINDOWS:
            chosen = (column["terminal"] == column["terminal"][row]) & (time <= end)
            chosen &= time > end - window * 86_400
            expected += [chosen.sum(), column["fraud"][chosen].mean() if chosen.any() else 0.0]
        assert len(expected) == len(NAMES) == 15
        np.testing.assert_allclose(got[row], expected, rtol=1e-5, err_msg=f"row {row}")


@pytest.mark.parametrize("lag", [1, 8])
def test_published_features_never_hold_a_label_younger_than_the_delay(
    days: list[Day], lag: int
) -> None:
    flipped = 50
    before = with_features(days[:80], lag)
    after = with_features(flipped_from(days[:80], flipped), lag)
    for number, ((_, one), (_, other)) in enumerate(zip(before, after, strict=True)):
        if number < flipped + lag - 1:
            assert np.array_equal(one, other)
    assert not np.array_equal(before[-1][1], after[-1][1])
    if lag == 1:  # a row's own label and those after it are never in
        rows = days[flipped].rows
        last = replace(days[flipped], scenario=days[flipped].scenario.copy())
        last.scenario[rows - 1] = 1 - last.scenario[rows - 1]
        changed = with_features([*days[:flipped], last], lag)[-1][1]
        assert np.array_equal(changed, before[flipped][1])


def test_learned_baselines_learn_from_the_published_features_of_the_days_they_are_given(
    days: list[Day],
) -> None:
    random = np.random.default_rng(0)
    made = []
    for number, day in enumerate(days[:4]):
        published = random.normal(size=(day.rows, len(NAMES))).astype(np.float32)
        labels = (published[:, 4] > 1).astype(np.int8)
        columns = np.zeros((0, 0), np.int32)
        made.append(Prepared(number, replace(day, scenario=labels), columns, published))
    reported: list[str] = []
    contenders: dict[str, Any] = learned_baselines(reported.append)
    for name, contender in contenders.items():
        for each in made[:3]:
            contender = contender.fit(each)  # noqa: PLW2901 - a value
        probability = contender.probability(made[3])
        assert average_precision_score(made[3].day.fraud, probability) > 0.9, name
        with pytest.raises(ValueError, match="without the published features"):
            contender.fit(replace(made[0], published=None))
    assert reported == [f"{name}, 3 days" for name in contenders]


# --- files, messages, the shape of the result -----------------------------------------------------


def test_day_files_are_found_in_the_layouts_that_the_tools_write(tmp_path: Path) -> None:
    for folder in ("flat", "made/training", "share/datasets/training"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("2018-04-02.csv.gz", "2018-04-01.pkl", "test_dataset.pkl", "notes.txt"):
            (tmp_path / folder / name).touch()
        top = tmp_path / folder.split("/")[0]
        assert list(day_files(top)) == [START, START + dt.timedelta(1)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no day files; needed are names like 2018-04-01"),
        (["2018-04-01.csv", "2018-04-01.pkl"], "2018-04-01.csv and 2018-04-01.pkl are of one day"),
    ],
)
def test_directory_that_cannot_be_read_is_one_line(
    names: list[str], message: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        day_files(tmp_path)
    with pytest.raises(UsageError, match="nowhere: no such directory"):
        day_files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("days_there", "settings", "message"),
    [
        (range(135), Settings(Protocol.handbook), r"135 days .* needs 136 at a label lag of 8"),
        (range(142), Settings(Protocol.handbook, 15), "needs 143 at a label lag of 15"),
        (range(38), Settings(Protocol.prequential), "needs 39 at a label lag of 8"),
        ([*range(100), *range(101, 150)], Settings(Protocol.handbook), "no file for 2018-07-10"),
        (range(150), Settings(Protocol.handbook, 0), "--lag-days 0: must be 1 to 60"),
        (range(150), Settings(Protocol.prequential, baselines=True), "--baselines: the handbook"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line_that_says_what_is_needed(
    days_there: Sequence[int], settings: Settings, message: str, tmp_path: Path
) -> None:
    dates = [START + dt.timedelta(number) for number in days_there]
    with pytest.raises(UsageError, match=message) as caught:
        check(tmp_path, dates, settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "needed"), [(Protocol.handbook, 136), (Protocol.prequential, 39)]
)
def test_days_needed_are_enough(protocol: Protocol, needed: int, tmp_path: Path) -> None:
    check(tmp_path, [START + dt.timedelta(n) for n in range(needed)], Settings(protocol))


def test_malformed_day_is_named(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{START + dt.timedelta(number)}.csv").write_text("x\n1\n")
    with pytest.raises(DatasetRefused, match=r"2018-04-01\.csv: lacks the columns"):
        judge(tmp_path, Settings(Protocol.prequential))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("days")
    for number in range(136):
        write_day(root / f"training/{START + dt.timedelta(number)}.pkl", number, START)
    return root


@pytest.mark.parametrize("protocol", Protocol)
def test_result_has_the_documented_keys_and_its_text_the_lag_with_every_figure(
    protocol: Protocol, directory: Path
) -> None:
    seen: list[str] = []
    result = judge(directory, Settings(protocol), seen.append)
    assert len(seen) == 136
    assert json.loads(json.dumps(result)) == result
    assert list(result) == [
        *("protocol", "lag_days", "days", "interval", "chain", "window", "baselines")
    ]
    assert (result["protocol"], result["lag_days"]) == (protocol.value, 8)
    assert set(result["baselines"]) == {"majority", "amount"}
    for each in (result, *result["baselines"].values()):
        for learned in ("chain", "window"):
            folds, mean = each[learned]["folds"], each[learned]["mean"]
            assert len(folds) == (4 if protocol is Protocol.handbook else 1)
            for name in ("average_precision", "roc_auc", "card_precision_100", "brier"):
                values = [fold[name] for fold in folds]
                assert mean[name] == pytest.approx(np.mean(values), rel=1e-4)
                assert mean["deviation"][name] == pytest.approx(np.std(values), abs=1e-5)
                low, high = mean["interval"][name]
                assert low <= high
    text = as_text(result)
    assert text.count("8 days late") == 4
    assert "this learner" in text


def a_result() -> dict[str, Any]:
    """Return what `evaluate` returns, with figures that are long, undefined or bracketed."""
    names = ("average_precision", "roc_auc", "card_precision_100", "brier")
    recalls = [f"recall_at_precision_{wanted}" for wanted in (50, 80, 90)]
    scored: dict[str, Any] = dict.fromkeys((*names, *recalls), 0.123456)
    scored |= {"roc_auc": None, "interval": {name: [0.1, 0.2] for name in (*names, *recalls)}}
    fold = {
        **scored,
        "training": ["2018-07-04", "2018-07-10"],
        "test": ["2018-07-18", "2018-07-24"],
        "frauds": 1_234_567,
        "scenarios": {"2": {"frauds": 1_234_567, "caught": 617_283}},
        "calibration": {"groups": [{"rows": 1_234_567, "probability": 0.25, "share": 0.5}]},
    }
    learned = {"folds": [fold], "mean": scored}
    return {
        "protocol": "handbook",
        "lag_days": 8,
        "days": {"number": 140, "first": "2018-04-01", "last": "2018-08-18"},
        "interval": {"level": 0.95},
        "chain": learned,
        "window": learned,
        "baselines": {},
    }


def test_no_figure_is_cut_wrapped_or_coloured_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = as_text(a_result())
    for name, value in {"COLUMNS": "20", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    text = as_text(a_result())
    assert text == expected
    assert text.isascii()
    assert "\x1b" not in text
    lines = [line.split("  ") for line in text.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    figures = ["0.123 [0.100 0.200]", "n/a", "0.123 [0.100 0.200]", *["0.123"] * 3, "0.12346"]
    assert ["this learner", "whole chain", *figures] in cells
    days = ["2018-07-18 to 2018-07-24", "2018-07-04 to 2018-07-10"]
    assert [*days, "1,234,567", *figures] in cells
    assert ["2", "1,234,567", "617,283", "50%"] in cells
    assert ["0.2500", "0.5000", "1,234,567"] in cells
    assert all(line == line.rstrip() for line in text.splitlines())


def test_figures_of_a_column_end_below_one_another() -> None:
    result = a_result()
    result["chain"]["folds"][0]["scenarios"]["3"] = {"frauds": 1, "caught": 1}
    lines = as_text(result).splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("scenario "))
    title, first, second = lines[row : row + 3]
    end = title.index("frauds") + len("frauds")
    assert first[:end].endswith("  1,234,567")
    assert second[:end].endswith("  1")


def test_command_prints_json_and_says_how_far_it_is(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from workload.cli import main as cli  # noqa: PLC0415

    for path in sorted((directory / "training").iterdir())[:40]:
        (tmp_path / path.name).symlink_to(path)
    line = ["workload", "evaluate", "--datasets", str(tmp_path), "--protocol", "prequential"]
    monkeypatch.setattr("sys.argv", [*line, "--lag-days", "3", "--json"])
    assert cli.run() == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["lag_days"] == 3
    assert err.splitlines() == ["Evaluating 30/40: 2018-04-30", "Evaluating 40/40: 2018-05-10"]
    monkeypatch.setattr("sys.argv", [*line, "--lag-days", "0"])
    assert cli.run() == 2
    assert capsys.readouterr().err == "workload: --lag-days 0: must be 1 to 60\n"

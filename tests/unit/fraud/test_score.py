"""Scores of a later day: ranked, without labels, in either format, or not written at all."""

from __future__ import annotations

import datetime as dt
import errno
import os
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.support.fleet import write_day
from workload.engine.canonical import decode, encode
from workload.engine.chain import ChainState, read, train
from workload.errors import DatasetRefused, ShareUnusable, UsageError
from workload.fraud.model import features
from workload.fraud.model.features import FEATURE_LABELS, WIDTHS
from workload.fraud.score import Written
from workload.fraud.score import score as write_scores
from workload.fraud.trainer import FraudTrainer
from workload.fraud.transactions import read_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = dt.date(2018, 4, 1)
TRAINER = FraudTrainer()


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("days")
    return [write_day(root / f"2018-04-0{day}.pkl", day - 1, START) for day in (1, 2, 3)]


@pytest.fixture(scope="module")
def checkpoint(days: list[Path]) -> Path:
    """Return a checkpoint that has learned the first two days."""
    point, content = ChainState.start(TRAINER), b""
    for path in days[:2]:
        point, content = train(TRAINER, point, read(TRAINER, path))
    path = days[0].with_name("model_cpt_2018-04-02.pkl")
    path.write_bytes(content)
    return path


def score(checkpoint: Path, dataset: Path, out: Path, **options: Any) -> Written:
    model = ChainState.from_file(TRAINER, checkpoint).model
    return write_scores(model, dataset, out, **options)


def scored(checkpoint: Path, dataset: Path, out: Path, **options: Any) -> pd.DataFrame:
    rows = score(checkpoint, dataset, out, **options).rows
    frame = pd.read_csv(out) if out.suffix == ".csv" else pd.read_parquet(out)
    assert len(frame) == rows
    assert os.listdir(out.parent) == [out.name]  # noqa: PTH208 - names
    return frame


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_ranks_are_a_permutation_with_1_the_most_suspicious(
    days: list[Path], checkpoint: Path, out: Path
) -> None:
    frame = scored(checkpoint, days[2], out / "scores.csv")
    assert list(frame) == ["TRANSACTION_ID", "FRAUD_PROBABILITY", "RANK"]
    assert sorted(frame["RANK"]) == list(range(1, len(frame) + 1))
    ranked = frame.sort_values("RANK")
    assert ranked["FRAUD_PROBABILITY"].is_monotonic_decreasing
    assert frame["FRAUD_PROBABILITY"].nunique() > 10
    assert frame["FRAUD_PROBABILITY"].between(0, 1).all()
    ties = ranked.groupby("FRAUD_PROBABILITY")["TRANSACTION_ID"]
    assert all(group.is_monotonic_increasing for _, group in ties)


def test_every_transaction_has_the_probability_of_the_model(
    days: list[Path], checkpoint: Path, out: Path
) -> None:
    frame = scored(checkpoint, days[2], out / "scores.parquet")
    day = read_day(days[2])
    assert np.array_equal(frame["TRANSACTION_ID"], day.transaction)
    expected = ChainState.from_bytes(TRAINER, checkpoint.read_bytes()).model.score(day)
    assert np.array_equal(frame["FRAUD_PROBABILITY"], expected)


def test_csv_and_parquet_hold_the_same(days: list[Path], checkpoint: Path, tmp_path: Path) -> None:
    frames = []
    for suffix in ("csv", "parquet"):
        (tmp_path / suffix).mkdir()
        frames.append(scored(checkpoint, days[2], tmp_path / suffix / f"scores.{suffix}"))
    pd.testing.assert_frame_equal(frames[0], frames[1])


def test_labels_are_neither_needed_nor_used(
    days: list[Path], checkpoint: Path, out: Path, tmp_path: Path
) -> None:
    frame: Any = pd.read_pickle(days[2])
    labels = [name for name in frame if name.startswith("TX_FRAUD")]
    assert labels
    unlabelled, wrong = tmp_path / "unlabelled.csv", tmp_path / "wrong.pkl"
    frame.drop(columns=labels).to_csv(unlabelled, index=False)
    frame.assign(**dict.fromkeys(labels, "nonsense")).to_pickle(wrong)
    expected = scored(checkpoint, days[2], out / "scores.csv")
    for path in (unlabelled, wrong):
        pd.testing.assert_frame_equal(scored(checkpoint, path, out / "scores.csv"), expected)


@pytest.mark.parametrize("day", [0, 1])
def test_day_the_checkpoint_may_have_learned_from_is_refused(
    day: int, days: list[Path], checkpoint: Path, out: Path
) -> None:
    with pytest.raises(UsageError, match="is not after 2018-04-02, the last the checkpoint"):
        score(checkpoint, days[day], out / "scores.csv")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["scores.txt", "scores", "scores.csv.gz", "scores.pkl"])
def test_other_endings_are_refused_before_anything_is_read(name: str, out: Path) -> None:
    with pytest.raises(UsageError, match=r"write to a file ending in \.csv or \.parquet"):
        write_scores(TRAINER.start(), out / "none", out / name)


@pytest.mark.parametrize("content", [None, b"garbage", encode({"format": "another"})])
def test_bad_checkpoint_is_one_line_that_names_it(
    content: bytes | None, days: list[Path], out: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model_cpt_bad.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"^[^\n]*model_cpt_bad\.pkl: [^\n]+$"):
        score(path, days[2], out / "scores.csv")
    assert list(out.iterdir()) == []


def test_bad_dataset_is_refused_and_nothing_is_written(
    checkpoint: Path, out: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "2018-04-03.csv"
    bad.write_text("TRANSACTION_ID\n1\n")
    with pytest.raises(DatasetRefused):
        score(checkpoint, bad, out / "scores.csv")
    with pytest.raises(UsageError, match=r"none\.csv: no such file"):
        score(checkpoint, tmp_path / "none.csv", out / "scores.csv")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_full_disk_leaves_the_old_scores_and_nothing_else(
    suffix: str, days: list[Path], checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = out / f"scores.{suffix}"
    old.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workload.share.store.os.fsync", full)
    with pytest.raises(ShareUnusable, match="no space left on device"):
        score(checkpoint, days[2], old)
    assert old.read_text() == "old"
    assert list(out.iterdir()) == [old]


def test_cards_to_check_are_those_ranked_highest_and_the_threshold_separates_them(
    days: list[Path], checkpoint: Path, out: Path
) -> None:
    written = score(checkpoint, days[2], out / "scores.csv", cards=20)
    frame = pd.read_csv(out / "scores.csv")
    day = read_day(days[2])
    best = pd.Series(frame["FRAUD_PROBABILITY"]).groupby(day.customer).max()
    checked = set(day.customer[frame["CHECK"]].tolist())
    assert len(checked) == 20
    assert min(best[list(checked)]) >= max(best.drop(list(checked)))
    assert np.array_equal(frame["CHECK"], np.isin(day.customer, list(checked)))
    assert written.threshold == min(best[list(checked)])
    everyone = score(checkpoint, days[2], out / "scores.csv", cards=100_000)
    assert everyone.threshold is None
    assert pd.read_csv(out / "scores.csv")["CHECK"].all()


def test_reasons_are_the_largest_terms_of_the_linear_model_over_the_days_mean(
    days: list[Path], checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workload.fraud.score.ROWS_AT_ONCE", 100)
    frame = scored(checkpoint, days[2], out / "scores.csv", explain=True)
    model = ChainState.from_bytes(TRAINER, checkpoint.read_bytes()).model
    day = read_day(days[2])
    columns = features.columns(model.state.advance(day.date), day)
    terms = model.learner.terms(columns)
    log_odds = np.log(frame["FRAUD_PROBABILITY"] / (1 - frame["FRAUD_PROBABILITY"]))
    np.testing.assert_allclose(terms.sum(axis=1), log_odds, rtol=1e-6)
    over = terms - terms.mean(axis=0)
    names = list(FEATURE_LABELS.values())
    assert list(FEATURE_LABELS) == list(WIDTHS)
    assert len(set(names)) == len(names)
    for number in (1, 2, 3):
        expected = -np.sort(-over, axis=1)[:, number - 1]
        np.testing.assert_allclose(frame[f"LOG_ODDS_{number}"], expected, atol=1e-9)
        chosen = [names.index(name) for name in frame[f"REASON_{number}"]]
        np.testing.assert_allclose(over[np.arange(len(over)), chosen], expected, atol=1e-9)


def test_a_day_scored_in_parts_has_the_scores_of_the_whole(
    days: list[Path], checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scored(checkpoint, days[2], out / "scores.parquet", cards=10, explain=True)
    for rows in (50, 300):
        monkeypatch.setattr("workload.fraud.score.ROWS_AT_ONCE", rows)
        parts = scored(checkpoint, days[2], out / "scores.parquet", cards=10, explain=True)
        exact = [name for name in whole if "LOG_ODDS" not in str(name)]
        pd.testing.assert_frame_equal(parts[exact], whole[exact])
        pd.testing.assert_frame_equal(parts, whole, rtol=1e-9)


def test_options_leave_the_scores_themselves_alone(
    days: list[Path], checkpoint: Path, out: Path
) -> None:
    plain = scored(checkpoint, days[2], out / "scores.parquet")
    more = scored(checkpoint, days[2], out / "scores.parquet", cards=10, explain=True)
    pd.testing.assert_frame_equal(more[list(plain)], plain)


def _nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in the model of a checkpoint."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in inside:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _nodes(value, (*path, key))


def _replaced(value: Any) -> Iterator[Any]:
    """Yield what may stand in a value's place in a file that somebody else has made."""
    yield from (None, 1, "text", [], {}, b"", np.zeros(3), np.array(1.0))
    if isinstance(value, np.ndarray):
        yield value[..., :-1]
        yield value[..., None]
        yield value.astype(np.complex64).real
        yield -np.ones_like(value) if value.dtype.kind != "b" else value
        yield np.full_like(value, np.iinfo(value.dtype).max if value.dtype.kind in "iu" else np.nan)


def test_checkpoint_whose_model_does_not_fit_is_one_line_that_names_it(
    days: list[Path], checkpoint: Path, out: Path, tmp_path: Path
) -> None:
    damaged, content = tmp_path / "damaged.pkl", checkpoint.read_bytes()
    refused = written = 0
    for part in ("state", "learner"):
        for path in _nodes(decode(content)[part], (part,)):
            tree = decode(content)
            *above, last = path
            place = reduce(lambda inner, key: inner[key], above, tree)
            for value in _replaced(place[last]):
                place[last] = value
                damaged.write_bytes(encode(tree))
                try:
                    score(damaged, days[2], out / "scores.csv")
                except UsageError as error:
                    refused += str(error).startswith(f"{damaged}: ")
                    continue
                written += 1
    assert refused > 100
    assert written < refused / 2, "other numbers in the same shapes"

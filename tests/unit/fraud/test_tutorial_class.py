"""The tutorial's trainer class: its constructor, its report, and the same chain as the queue's."""

from __future__ import annotations

import datetime as dt
import inspect
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.fleet import write_day
from workload.engine.canonical import encode
from workload.engine.chain import ChainState, read, train
from workload.errors import DatasetRefused, UsageError
from workload.fraud.trainer import FraudTrainer
from workload.trainer import FraudDetectionModelTrainer

if TYPE_CHECKING:
    from pathlib import Path

START = dt.date(2018, 4, 1)
LABEL = "TX_FRAUD_SCENARIO"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return three consecutive days; the last one is for testing."""
    root = tmp_path_factory.mktemp("days")
    return [write_day(root / f"2018-04-0{day}.pkl", day - 1, START) for day in (1, 2, 3)]


def test_constructor_takes_the_tutorials_arguments_in_its_order() -> None:
    parameters = inspect.signature(FraudDetectionModelTrainer).parameters
    assert list(parameters) == [
        "train_dataset_path",
        "test_dataset_path",
        "label",
        "checkpoint_path",
    ]
    assert parameters["checkpoint_path"].default is None


def test_chained_trainers_write_what_the_chain_folds_and_report_it(
    days: list[Path], tmp_path: Path
) -> None:
    first, second, testing = days
    output, report = tmp_path / "not/there/yet", tmp_path / "report.txt"
    checkpoint: str | None = None
    for path in (first, second):
        trainer = FraudDetectionModelTrainer(str(path), str(testing), LABEL, checkpoint)
        checkpoint = trainer.train_and_save(str(output))
        trainer.generate_report(str(report))
        assert checkpoint == str(output / f"model_cpt_{path.stem}.pkl")
    assert [path.name for path in sorted(output.iterdir())] == [
        "model_cpt_2018-04-01.pkl",
        "model_cpt_2018-04-02.pkl",
    ]

    learner = FraudTrainer(LABEL)
    point, content = ChainState.start(learner), b""
    for path in (first, second):
        point, content = train(learner, point, read(learner, path), testing=read(learner, testing))
        assert (output / f"model_cpt_{path.stem}.pkl").read_bytes() == content

    text = report.read_text()
    for path in (first, second):
        assert f"Training dataset: {path.name}\n" in text
        assert f"Model checkpoint: model_cpt_{path.stem}.pkl\n" in text
    assert text.count("Report generated on: ") == 2
    assert text.count("Accuracy on training data: 0.") == 2
    assert text.count("Accuracy on testing data: 0.") == 2


def test_get_model_is_the_base_before_training_and_the_result_after(
    days: list[Path], tmp_path: Path
) -> None:
    trainer = FraudDetectionModelTrainer(days[0], days[2], LABEL)
    assert trainer.get_model().checkpoint is None
    path = trainer.train_and_save(tmp_path)
    trained = trainer.get_model().checkpoint
    assert trained is not None
    assert FraudDetectionModelTrainer(days[1], days[2], LABEL, path).get_model().checkpoint == (
        trained
    )


def test_day_that_is_not_after_the_checkpoint_is_refused_and_nothing_written(
    days: list[Path], tmp_path: Path
) -> None:
    path = FraudDetectionModelTrainer(days[1], days[2], LABEL).train_and_save(tmp_path / "one")
    again = FraudDetectionModelTrainer(days[0], days[2], LABEL, path)
    with pytest.raises(DatasetRefused, match="2018-04-01 is not after 2018-04-02"):
        again.train_and_save(tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("content", [None, b"", b"garbage", encode({"format": "another"})])
def test_checkpoint_that_cannot_be_used_is_one_line_that_names_it(
    days: list[Path], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model_cpt_bad.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        UsageError, match=r"model_cpt_bad\.pkl: (no such file|not a checkpoint)"
    ) as caught:
        FraudDetectionModelTrainer(days[0], days[2], LABEL, path)
    assert "\n" not in str(caught.value)


def test_report_before_training_is_one_line(days: list[Path], tmp_path: Path) -> None:
    trainer = FraudDetectionModelTrainer(days[0], days[2], LABEL)
    with pytest.raises(UsageError, match="call train_and_save first"):
        trainer.generate_report(tmp_path / "report.txt")
    assert not (tmp_path / "report.txt").exists()


def test_record_counts_cards_and_terminals_that_the_chain_does_not_know(tmp_path: Path) -> None:
    learner = FraudTrainer(LABEL)
    point, seen = ChainState.start(learner), np.zeros(0, np.int64)
    visible = np.zeros(0, np.int64)
    every = [
        read(learner, write_day(tmp_path / f"2018-04-{number + 1:02}.pkl", number, START))
        for number in range(10)
    ]
    for number, dataset in enumerate(every):
        day = dataset.data
        point, _ = train(learner, point, dataset)
        if number >= 8:
            visible = np.union1d(visible, every[number - 8].data.terminal)
        cards, terminals = np.unique(day.customer), np.unique(day.terminal)
        assert point.record["ids"] == {
            "cards": len(cards),
            "new_cards": len(np.setdiff1d(cards, seen)),
            "terminals": len(terminals),
            "new_terminals": len(np.setdiff1d(terminals, visible)),
        }
        seen = np.union1d(seen, cards)
        kinds = point.record["metrics"]["training"]["scenarios"]
        assert {kind: count["frauds"] for kind, count in kinds.items()} == {
            str(kind): int((day.scenario == kind).sum())
            for kind in np.unique(day.scenario[day.fraud])
        }

"""What is a dataset, and that whatever is not is named wherever files are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workload.share import listing
from workload.share.listing import beside_days, dataset_files, left_out, training_datasets

if TYPE_CHECKING:
    from pathlib import Path

TAKEN = ["2018-04-01.pkl", "2018-04-02.CSV", "2018-04-03.pickle.gz", "2018-04-04.parquet.ZIP"]
OTHERS = ["2018-04-05.feather", "2018-04-06", "2018-04-07.pkl.zst", "notes.txt"]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for folder in ("training", "testing"):
        (tmp_path / "datasets" / folder).mkdir(parents=True)
    return tmp_path


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def test_each_visible_name_is_taken_or_named(share: Path) -> None:
    training = share / "datasets/training"
    fill(training, *TAKEN, *OTHERS, ".hidden", ".2018-04-09.pkl.0.tmp")
    (training / "2018-04-08.pkl").mkdir()
    assert [path.name for path in dataset_files(share / "datasets")] == TAKEN
    assert training_datasets(share)[: len(TAKEN)] == [f"datasets/training/{n}" for n in TAKEN]
    [line] = left_out(share / "datasets")
    assert line.startswith(
        f"{training}: not taken: {', '.join(sorted([*OTHERS, '2018-04-08.pkl']))}; taken are "
        "YYYY-MM-DD with .pkl, .pickle, .parquet, .csv, plain or compressed (.gz, .bz2, .xz, .zip)"
    )


def test_nothing_is_said_when_all_is_taken(share: Path) -> None:
    fill(share / "datasets/training", *TAKEN)
    fill(share / "datasets/testing", "test_dataset.csv.BZ2")
    assert left_out(share / "datasets") == []
    assert beside_days(share) == []


def test_line_stays_short_and_on_one_line(share: Path) -> None:
    fill(share / "datasets/training", "a\nb", *(f"part-{number}" for number in range(100)))
    [line] = left_out(share / "datasets")
    assert "\n" not in line
    assert "and 96 others" in line


def test_testing_day_under_another_name_is_named(share: Path) -> None:
    testing = share / "datasets/testing"
    fill(testing, "2018-05-01.pkl", "TEST_DATASET.pkl")
    assert listing.testing_dataset(share) is None
    [line] = left_out(share / "datasets")
    assert line.startswith(f"{testing}: not taken: 2018-05-01.pkl, TEST_DATASET.pkl; taken are ")
    fill(testing, "test_dataset.csv", "test_dataset.PKL.gz")
    assert listing.testing_dataset(share) == testing / "test_dataset.csv"
    assert "test_dataset.PKL.gz" in left_out(share / "datasets")[0]
    fill(testing, "test_dataset.pkl")
    assert listing.testing_dataset(share) == testing / "test_dataset.pkl"


@pytest.mark.parametrize("below", ["", "training", "datasets/training"])
def test_directory_of_days_names_what_is_no_day(tmp_path: Path, below: str) -> None:
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    fill(folder, *TAKEN, "week-14.pkl")
    [line] = beside_days(tmp_path)
    assert line.startswith(f"{folder}: not taken: week-14.pkl; taken are YYYY-MM-DD")

"""How many rows a file has is known without decoding it, and rather too low than too high."""

from __future__ import annotations

import datetime as dt
import gzip
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.support.fleet import write_day
from workload.fraud.rows import rows_at_least
from workload.readers.table import MAX_ROWS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
def test_rows_are_estimated_low_and_within_a_third(tmp_path: Path, suffix: str) -> None:
    path = write_day(tmp_path / f"2018-04-01.{suffix}", 0, dt.date(2018, 4, 1))
    rows = len(pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path))
    assert rows * 2 / 3 < rows_at_least(path) <= rows


def test_a_pickle_tells_nothing(tmp_path: Path) -> None:
    assert rows_at_least(write_day(tmp_path / "2018-04-01.pkl", 0, dt.date(2018, 4, 1))) == 0


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz"])
@pytest.mark.parametrize("content", [b"", b"x", b"\x1f\x8b", b"PAR1PAR1"])
def test_damaged_files_are_left_to_their_reader(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert rows_at_least(tmp_path / name) == 0


def test_a_gzip_file_can_not_claim_more_than_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 100_000)[:-4] + b"\xff\xff\xff\0")
    assert rows_at_least(path) <= 100 * path.stat().st_size / 6


def test_a_file_that_will_be_refused_for_its_rows_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"a": pd.Series(0, index=range(MAX_ROWS + 1), dtype="int8")}).to_parquet(
        path, index=False
    )
    assert rows_at_least(path) == 0

"""`workload run --days`: more days of the same world go on, and nothing is left behind."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.local.test_run import ran
from workload.engine.ledger import read_ledger
from workload.errors import ShareUnusable, UsageError
from workload.fraud.simulator import simulate
from workload.local import run as local_run
from workload.local import share_queue
from workload.local.run import Simulation
from workload.queue import connect
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def world(seed: int = 0) -> Simulation:
    def write(directory: Path, days: int, on_day: Callable[[Path, int], None]) -> None:
        simulate(directory, days=days, seed=seed, on_day=on_day)

    return Simulation("transactions", write)


def simulated(share: Path, days: int, seed: int = 0) -> None:
    local_run._simulate(Share(share), days, world(seed))


def bytes_of(share: Path) -> dict[str, bytes]:
    found = sorted(share.rglob("*"))
    return {
        path.relative_to(share).as_posix(): path.read_bytes() for path in found if path.is_file()
    }


def test_longer_run_goes_on_with_the_chain_and_its_testing_day(tmp_path: Path) -> None:
    share = tmp_path / "share"

    def run(days: int) -> tuple[str, list[dict[str, Any]]]:
        code, text = ran(f"--share {share} --days {days} --workers 1", tmp_path / "log")
        assert code == 0, text
        return text, read_ledger(share / "output/ledger.jsonl")

    text, before = run(1)
    tested = (share / "datasets/testing/test_dataset.pkl").read_bytes()
    assert "testing dataset stays" not in text
    text, after = run(3)
    assert "The testing dataset stays datasets/testing/test_dataset.pkl" in text
    assert after[0] == before[0]
    assert [line["date"] for line in after] == ["2018-04-01", "2018-04-02", "2018-04-03"]
    assert (share / "datasets/testing/test_dataset.pkl").read_bytes() == tested
    notes = [line["metrics"]["testing_note"] for line in after]
    assert notes[0] is None
    assert all("2018-04-02 is not after the training day" in note for note in notes[1:])


def test_days_of_another_world_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    simulated(tmp_path, 1)
    before = bytes_of(tmp_path)
    with pytest.raises(UsageError, match=r"2018-04-01.pkl: differs from"):
        simulated(tmp_path, 2, seed=1)
    assert bytes_of(tmp_path) == before


def test_testing_day_without_a_chain_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "datasets/testing").mkdir(parents=True)
    (tmp_path / "datasets/testing/test_dataset.pkl").write_bytes(b"of another world")
    with pytest.raises(UsageError, match=r"test_dataset.pkl: differs from"):
        simulated(tmp_path, 1)


def test_what_a_killed_run_simulated_is_swept_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".simulated-killed/training").mkdir(parents=True)
    (tmp_path / ".simulated-killed/training/2018-04-01.pkl").write_bytes(b"half")
    simulated(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["datasets"]


def test_disk_that_fills_while_simulating_is_said_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workload.fraud.simulator.write_atomic", full)
    with pytest.raises(ShareUnusable, match="no space left on device"):
        simulated(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["50%25?x#y z", "long" * 40])
def test_any_temporary_directory_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    temporary = tmp_path / folder
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "share").mkdir()
    with share_queue.serve(tmp_path / "share") as server:
        assert connect(server.url).ping()
        with share_queue.reach(tmp_path / "share") as url:
            assert connect(url).ping()
    assert list(temporary.iterdir()) == []


def test_unfinished_files_are_swept_once_nobody_can_write_them(tmp_path: Path) -> None:
    share = Share(tmp_path)
    old, new = "output/.checkpoints/.a.pkl.00.tmp", "datasets/training/.2018-04-01.pkl.00.tmp"
    kept = ("datasets/training/.2018-04-01.pkl.00.partial", "output/x.tmp")
    for name in (old, new, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.utime(tmp_path / old, (0, 0))
    share.probe_writable()
    assert sorted(bytes_of(tmp_path)) == sorted([new, *kept])
    share.sweep(0.0)
    assert sorted(bytes_of(tmp_path)) == sorted(kept)

"""Whether a chain has a testing dataset: decided by the share, not by what a cache shows first."""

from __future__ import annotations

import datetime as dt
import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from workload.engine.chain import ChainState
from workload.engine.testing_set import TestingSet
from workload.errors import DatasetFailed
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = "datasets/training/2018-04-01.pkl"
NAME = "datasets/testing/test_dataset.pkl"
CACHED = 90.0


class Trainer:
    """Takes any bytes, as one row."""

    def prepare(self, _file: Any) -> Any:
        return SimpleNamespace(rows=1, date=dt.date(2018, 4, 9))


class Waiting:
    """A clock that only waiting moves; tells what happens after each wait."""

    def __init__(self, on_wait: Callable[[float], None] = lambda _: None) -> None:
        self.now, self.waited, self._on_wait = time.time(), 0.0, on_wait

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds
        self._on_wait(self.waited)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "datasets/training").mkdir(parents=True)
    (tmp_path / DAY).write_bytes(b"day")
    return tmp_path


def made(
    root: Path, clock: Waiting, monkeypatch: pytest.MonkeyPatch, age: float = 0.0
) -> TestingSet:
    """Return one whose first day was put on the share `age` seconds ago."""
    monkeypatch.setattr("workload.retry.time.monotonic", lambda: clock.now)
    monkeypatch.setattr("workload.engine.testing_set.time.time", lambda: clock.now + age)
    return TestingSet(Share(root, CACHED, clock.pause), Trainer())  # type: ignore[arg-type]


START: ChainState[Any] = ChainState(None, {}, None)


def test_fresh_share_waits_for_a_testing_dataset_that_is_not_visible_yet(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def appear(waited: float) -> None:
        if waited > 20 and not (root / NAME).exists():
            (root / NAME).parent.mkdir()
            (root / NAME).write_bytes(b"tested")

    testing, why = made(root, Waiting(appear), monkeypatch).after(START, DAY)
    assert testing is not None
    assert (testing.name, why) == (NAME, "")


@pytest.mark.parametrize(("age", "waits"), [(0.0, 30.0), (70.0, 20.0), (3600.0, 0.0)])
def test_share_without_one_waits_only_as_long_as_it_could_be_hidden(
    root: Path, monkeypatch: pytest.MonkeyPatch, age: float, waits: float
) -> None:
    os.utime(root / DAY, (0, 0))  # as a copy that keeps its source's time
    clock = Waiting()
    testing = made(root, clock, monkeypatch, age)
    assert testing.after(START, DAY) == (None, "there is no testing dataset")
    assert clock.waited == pytest.approx(waits, abs=1.0)


def test_clock_that_is_behind_the_servers_waits_no_longer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Waiting()
    made(root, clock, monkeypatch, age=-7200.0).after(START, DAY)
    assert clock.waited == pytest.approx(30.0, abs=1.0)


def test_chain_that_began_without_one_waits_for_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Waiting()
    base: ChainState[Any] = ChainState(None, {"testing_dataset": None}, "hash")
    testing, why = made(root, clock, monkeypatch).after(base, DAY)
    assert (testing, why) == (None, "the chain began without a testing dataset")
    assert clock.waited == 0


@pytest.mark.parametrize("begun", [False, True])
def test_link_out_of_the_share_is_refused_like_a_dataset(
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    *,
    begun: bool,
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_bytes(b"not of this share")
    (root / NAME).parent.mkdir()
    (root / NAME).symlink_to(secret)
    record = {"testing_dataset": NAME, "testing_sha256": "0"} if begun else {}
    testing, why = made(root, Waiting(), monkeypatch).after(ChainState(None, record, None), DAY)
    assert testing is None
    assert why == f"{NAME} was refused: a symbolic link leads out of the share"


def test_record_that_names_a_path_outside_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base: ChainState[Any] = ChainState(None, {"testing_dataset": "../x.pkl"}, "hash")
    testing, why = made(root, Waiting(), monkeypatch).after(base, DAY)
    assert testing is None
    assert "leads out of the share" in why


def test_one_that_the_chain_began_with_must_be_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base: ChainState[Any] = ChainState(None, {"testing_dataset": NAME}, "hash")
    with pytest.raises(DatasetFailed, match="no such file after 90 s"):
        made(root, Waiting(), monkeypatch).after(base, DAY)

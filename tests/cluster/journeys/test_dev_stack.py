"""The unmodified dev stack: from nothing to two runs of training, and back to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from journeys import breakdown
from journeys.learned import ledger
from journeys.rehearsed import REDIS, Run
from node.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from journeys.learned import Datasets
    from journeys.rehearsed import Rehearsal

SIMULATED = (6, 9)
"""Simulated days of the first run, and of both; the tutorial's come before."""


@dataclass
class Journey:
    """What the steps of the journey gave.

    Attributes:
        days: how many there were in the first run, and in both.
        runs: both of them.
        redis: its pod before there are datasets.
        waiting: what the worker had said by then.
        results: where results were fetched to.
    """

    days: tuple[int, int]
    runs: tuple[Run, Run]
    results: Path
    redis: dict[str, Any] = field(default_factory=dict)
    waiting: str = ""


@pytest.fixture(scope="module")
def journey(
    dev: Rehearsal,
    datasets: Datasets,
    tmp_path_factory: pytest.TempPathFactory,
    tell: Callable[[str], None],
) -> Journey:
    """Transfer, queue, train, fetch; then more days, and another run."""
    first, both = (datasets.tutorial + days for days in SIMULATED)
    journey = Journey((first, both), (dev.first, Run()), tmp_path_factory.mktemp("results"))
    [journey.redis] = dev.pods.all(REDIS)
    journey.waiting = until("a worker waits", lambda: _waiting(dev), story=dev.story)
    for run, days in zip(journey.runs, journey.days, strict=True):
        directory = tmp_path_factory.mktemp("days")
        dev.hand_over(run, datasets.first(days, directory / "datasets"))
        if run is not dev.first:  # it would not wait for datasets
            dev.bring_up(run, run=2)
        dev.follow(run)
        dev.collect(run, journey.results)
        if run is dev.first:
            measured = breakdown.section(run, dev.share)
            breakdown.keep(measured)
            tell(measured.text())
    return journey


def _waiting(dev: Rehearsal) -> str:
    log = dev.pods.logs(dev.until_worker())
    return log if "Waiting" in log else ""


@pytest.mark.parametrize("run", [0, 1])
def test_the_job_completes(journey: Journey, run: int) -> None:
    assert journey.runs[run].ended == "Complete"


def test_redis_is_ready_and_the_job_waits_before_there_are_datasets(journey: Journey) -> None:
    [container] = journey.redis["status"]["containerStatuses"]
    assert container["ready"]
    assert "Initial queue state: empty=True" in journey.waiting


@pytest.mark.parametrize("run", [0, 1])
def test_what_was_learned_is_what_a_laptop_learns_from_the_same_datasets(
    journey: Journey, datasets: Datasets, run: int
) -> None:
    expected = datasets.learned(journey.days[run])
    assert len(expected) == journey.days[run]
    assert journey.runs[run].fetched == expected


def test_a_new_run_trains_only_what_is_new(journey: Journey, datasets: Datasets) -> None:
    first, both = journey.days
    for run, names in zip(
        journey.runs, (datasets.names()[:first], datasets.names()[first:both]), strict=True
    ):
        log = run.commands["logs"].output
        assert re.findall(r"Processing dataset: datasets/training/(\S+)", log) == names


@pytest.mark.parametrize("run", [0, 1])
def test_nothing_differs_after_the_training(journey: Journey, run: int) -> None:
    again = journey.runs[run].unchanged
    assert again is not None
    assert again.code == 0, again.output


def test_the_log_has_the_tutorials_lines(journey: Journey) -> None:
    log = journey.runs[0].commands["logs"].output
    for line in ("Worker with sessionID: ", "Initial queue state: empty=", "Queue empty, exiting"):
        assert line in log


def test_queueing_prints_the_files_and_the_length(journey: Journey, datasets: Datasets) -> None:
    printed = journey.runs[0].commands["queue-jobs"].output.splitlines()
    days = journey.days[0]
    assert f"Queue length: {days}" in printed
    files = [line for line in printed if line.startswith("datasets/training/")]
    assert files == [f"datasets/training/{name}" for name in datasets.names()[:days]]


def test_a_second_transfer_copies_only_what_is_new(journey: Journey) -> None:
    first, both = journey.days
    printed = journey.runs[1].commands["transfer-datasets"].output
    assert f"Transferred {both - first} files, {first + 1} were there" in printed


def test_status_says_that_all_is_learned_and_what_it_cost(journey: Journey) -> None:
    for run, days in zip(journey.runs, journey.days, strict=True):
        printed = run.commands["status"].output
        assert "(complete)" in printed
        assert f"{days} of {days} datasets learned (100 %)" in printed
        assert "workers    1 succeeded" in printed
        assert re.search(r"cost +about \d+\.\d\d USD since", printed)
        assert "WRONG" not in printed


def test_ledger_and_report_have_every_dataset_once_and_in_order(
    journey: Journey, datasets: Datasets
) -> None:
    names = datasets.names()[: journey.days[1]]
    lines = ledger(journey.results)
    assert [line["dataset"] for line in lines] == [f"datasets/training/{name}" for name in names]
    report = (journey.results / "report.txt").read_text()
    assert re.findall(r"Training dataset: (?:\S+/)?(\S+)", report) == names
    assert (journey.results / "report.html").stat().st_size > 0

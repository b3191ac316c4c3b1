"""Seconds that a whole local run takes with one worker and with two."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.batch import running
from benchmarks.days import simulated
from benchmarks.measure import Spread, in_turn
from benchmarks.results import Section, Table
from workload.engine.ledger import read_ledger
from workload.fraud.transactions import read_day

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one run."""

    start: float
    """Until the first worker says what it is processing."""
    work: float
    """From there until the last commit."""
    wall: float
    """All, the report included."""
    cpu: float
    """Processor time of all its processes."""
    ledger: list[dict[str, Any]]
    """Its ledger's lines."""


def measure(*, quick: bool) -> Section:
    """Run the batch with one and two workers in turn, each time on a fresh share."""
    days, rounds = (6, 1) if quick else (30, 3)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        datasets = Path(name) / "datasets"
        *training, _ = simulated(datasets, days, "pkl")
        rows = sum(read_day(path).rows for path in training)
        share = Path(name) / "share"
        subjects = {workers: partial(run, datasets, share, workers) for workers in (1, 2)}
        runs = in_turn(subjects, rounds, warm_up=False)
    columns: dict[str, Callable[[Run], float]] = {
        "start-up s": lambda run: run.start,
        "work s": lambda run: run.work,
        "whole run s": lambda run: run.wall,
        "CPU s": lambda run: run.cpu,
    }
    body = [
        [
            f"{workers}",
            *(Spread.of(map(column, done)).text(2) for column in columns.values()),
            Spread.of(rows / run.work for run in done).text(),
        ]
        for workers, done in runs.items()
    ]
    faster = Spread.of(one.work / two.work for one, two in zip(runs[1], runs[2], strict=True))
    return Section(
        "Workers",
        f"`workload run` on {days} simulated days ({rows:,} rows, pickles) and a testing day, in "
        f"turn with one and two workers, each on a fresh share; medians (extremes) of {rounds} "
        "turns. Start-up, most of it imports, lasts until the first dataset is in work; work lasts "
        "from there to the last commit; the whole run includes Redis, the reports and the ends of "
        "all processes.",
        [Table("A local run", ["workers", *columns, "rows/s at work"], body)],
        [f"Two workers do the work {faster.text(2)} times as fast as one."],
    )


def run(datasets: Path, share: Path, workers: int) -> Run:
    """Run the batch on a copy of the datasets."""
    shutil.copytree(datasets, share / "datasets")
    before = _children_cpu()
    begin = time.monotonic()
    with running(share, workers) as batch:
        pass
    wall = time.monotonic() - begin
    start = batch.moments("Processing dataset:")[0]
    end = batch.moments("Committed:")[-1]
    ledger = read_ledger(share / "output/ledger.jsonl")
    shutil.rmtree(share)
    return Run(start, end - start, wall, _children_cpu() - before, ledger)


def _children_cpu() -> float:
    """Return the processor seconds of all ended child processes and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

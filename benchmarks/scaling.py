"""Rows a second of the ordered pipeline with more and more workers, and its serial part."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.days import simulated
from benchmarks.measure import Spread
from benchmarks.results import Section, Table
from benchmarks.workers import Run, run
from workload.datasets import read_day

WORKERS = (1, 2, 4, 8)
FORMATS = ("pkl", "parquet")
_SERIAL = ("fold", "write")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One run, and the seconds its workers spent in each stage, all added up."""

    run: Run
    prepare: float
    serial: float


def measure(*, quick: bool) -> Section:
    """Runs the batch with each number of workers from each format, in turn."""
    days, rounds = (10, 1) if quick else (30, 3)
    tables = []
    lines = []
    for file_format in FORMATS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
            datasets = Path(name) / "datasets"
            *training, _ = simulated(datasets, days, file_format)
            rows = sum(read_day(path).rows for path in training)
            done: dict[int, list[_Outcome]] = {workers: [] for workers in WORKERS}
            for _ in range(rounds):
                for workers, outcomes in done.items():
                    outcomes.append(_once(datasets, Path(name) / "share", workers))
        body = [
            [
                f"{workers}",
                Spread.of(rows / each.run.work for each in outcomes).text(),
                Spread.of(each.run.work for each in outcomes).text(2),
                Spread.of(each.serial for each in outcomes).text(2),
                Spread.of(each.prepare for each in outcomes).text(2),
                Spread.of(each.run.cpu for each in outcomes).text(1),
            ]
            for workers, outcomes in done.items()
        ]
        columns = ["workers", "rows/s", "work s", "serial s", "parallel s", "CPU s, whole run"]
        tables.append(Table(f"From {file_format}: {rows:,} rows in {days} days", columns, body))
        one = done[1]
        share = Spread.of(each.serial / (each.serial + each.prepare) for each in one)
        lines.append(
            f"From {file_format} {share.text(2)} of the work of one worker is serial: no number of "
            f"workers makes it more than {1 / share.median:.2f} times as fast."
        )
    return Section(
        "Scaling",
        f"`workload run` on this machine's {os.cpu_count()} cores, each time on a fresh share with "
        "a testing day; medians (extremes). Work lasts from the first dataset to the last commit. "
        "Serial is the time in fold and write, one worker after the other, added up over all "
        "datasets; parallel that in reading and checking, on all at once. With more workers "
        "than cores these times include waiting for a core.",
        tables,
        lines,
    )


def _once(datasets: Path, share: Path, workers: int) -> _Outcome:
    prepare = serial = 0.0

    def look(lines: list[dict[str, Any]]) -> None:
        nonlocal prepare, serial
        prepare = sum(line["seconds"].get("prepare", 0.0) for line in lines)
        serial = sum(line["seconds"].get(stage, 0.0) for line in lines for stage in _SERIAL)

    done = run(datasets, share, workers, look)
    return _Outcome(done, prepare, serial)

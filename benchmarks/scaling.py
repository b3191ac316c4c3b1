"""Rows a second of the ordered pipeline with more and more workers, and its serial part."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import pandas as pd

from benchmarks.days import simulated
from benchmarks.measure import Spread, in_turn
from benchmarks.results import Section, Table
from benchmarks.workers import Run, run
from workload.engine.chain import ChainState, read, train
from workload.engine.checkpoints import CheckpointStore
from workload.fraud.simulator import DEFAULT_START, World
from workload.fraud.trainer import FraudTrainer
from workload.fraud.transactions import read_day
from workload.share.store import Share

WORKERS = (1, 2, 4, 8)
FORMATS = ("pkl", "parquet")
FACTORS = (1, 10, 100)
_SERIAL = ("train", "write")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One run, and the seconds its workers spent in each stage, all added up."""

    run: Run
    work: float
    prepare: float
    serial: float


def measure(*, quick: bool) -> Section:
    """Run the batch with each number of workers from each format, in turn."""
    days, rounds = (10, 1) if quick else (30, 3)
    tables = []
    lines = []
    for file_format in FORMATS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
            datasets = Path(name) / "datasets"
            *training, _ = simulated(datasets, days, file_format)
            rows = sum(read_day(path).rows for path in training)
            share = Path(name) / "share"
            subjects = {workers: partial(_once, datasets, share, workers) for workers in WORKERS}
            done = in_turn(subjects, rounds, warm_up=False)
        body = [
            [
                f"{workers}",
                Spread.of(rows / each.work for each in outcomes).text(),
                Spread.of(each.work for each in outcomes).text(2),
                Spread.of(each.serial for each in outcomes).text(2),
                Spread.of(each.prepare for each in outcomes).text(2),
                Spread.of(each.run.cpu for each in outcomes).text(1),
            ]
            for workers, outcomes in done.items()
        ]
        columns = ["workers", "rows/s", "work s", "serial s", "parallel s", "CPU s, whole run"]
        tables.append(Table(f"From {file_format}: {rows:,} rows in {days} days", columns, body))
        one = done[1]
        part = Spread.of(each.serial / (each.serial + each.prepare) for each in one)
        lines.append(
            f"From {file_format} {part.text(2)} of the work of one worker is serial: no number of "
            f"workers makes it more than {1 / part.median:.2f} times as fast."
        )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        factors = FACTORS[:2] if quick else FACTORS
        larger = [_larger_day(Path(name), factor) for factor in factors]
    tables.append(
        Table(
            "One worker, a day so many times as large",
            ["times", "rows", "read s", "train s", "write s", "rows/s", "checkpoint MB", "peak MB"],
            larger,
        )
    )
    return Section(
        "Scaling",
        f"`workload run` on this machine's {os.cpu_count()} cores, each time on a fresh share with "
        "a testing day; medians (extremes). Work lasts from the first claim to the last commit. "
        "Serial is the time in training and writing, one worker after the other, added up over all "
        "datasets; parallel that in reading and checking, on all at once. With more workers "
        "than cores these times include waiting for a core. A larger day is the simulated one many "
        "times over, with other cards and terminals each time, from parquet, after two such days, "
        "without a testing day.",
        tables,
        lines,
    )


def _larger_day(folder: Path, factor: int) -> list[str]:
    """Learn larger days in a process of its own, whose largest memory is its own too."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_fold_larger_days, folder, factor).result()


def _fold_larger_days(folder: Path, factor: int) -> list[str]:
    world, share = World(), Share(folder)
    share.probe_writable()
    trainer = FraudTrainer()
    point = ChainState.start(trainer)
    seconds: list[float] = []
    rows, content = 0, b""
    for number in range(3):
        date = DEFAULT_START + dt.timedelta(number)
        path = folder / f"{date}.parquet"
        _enlarged(world.day(number), factor).to_parquet(path, index=False)
        marks = [time.perf_counter()]
        dataset = read(trainer, path, date=date)
        marks.append(time.perf_counter())
        point, content = train(trainer, point, dataset)
        marks.append(time.perf_counter())
        CheckpointStore(share).write(content)
        marks.append(time.perf_counter())
        seconds, rows = [end - begin for begin, end in pairwise(marks)], dataset.data.rows
        path.unlink()
    return [
        f"{factor}",
        f"{rows:,}",
        *(f"{each:.2f}" for each in seconds),
        f"{rows / sum(seconds):,.0f}",
        f"{len(content) / 1e6:.1f}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}",
    ]


def _enlarged(day: pd.DataFrame, factor: int) -> pd.DataFrame:
    """Return the day `factor` times over, each with other transactions, cards and terminals."""
    keys = ("TRANSACTION_ID", "CUSTOMER_ID", "TERMINAL_ID")
    steps = {key: 10 ** len(str(day[key].max())) for key in keys}
    copies = [
        day.assign(**{key: day[key] + number * step for key, step in steps.items()})
        for number in range(factor)
    ]
    return pd.concat(copies).sort_values("TX_DATETIME", kind="stable", ignore_index=True)


def _once(datasets: Path, share: Path, workers: int) -> _Outcome:
    done = run(datasets, share, workers)
    lines = done.ledger
    return _Outcome(
        done,
        work=lines[-1]["committed"] - min(line["started"] for line in lines),
        prepare=sum(line["seconds"].get("prepare", 0.0) for line in lines),
        serial=sum(line["seconds"].get(stage, 0.0) for line in lines for stage in _SERIAL),
    )

"""Rows a second of one process, from a day's file to the checkpoint on disk, stage by stage."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.days import FORMATS, simulated
from benchmarks.measure import Cost, Spread, in_turn, ratio, timed
from benchmarks.results import Section, Table, verdict
from workload.engine import canonical
from workload.engine.chain import ChainState, read, train
from workload.engine.checkpoints import CheckpointStore
from workload.fraud import trainer as fraud
from workload.fraud.model import features
from workload.fraud.model.learner import Learner
from workload.fraud.model.state import State
from workload.fraud.trainer import FraudModel, FraudTrainer
from workload.fraud.transactions import read_day
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

TRAINER = FraudTrainer()

WARM_UP_DAYS = 10
"""Trained before anything is timed: labels are delivered from the ninth day on."""

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("read + check", sys.modules[__name__], "read"),
    ("state.advance", State, "advance"),
    ("columns", State, "rows"),
    ("columns", features, "columns"),
    ("probability", Learner, "probability"),
    ("fit", Learner, "fit"),
    ("absorb", State, "absorb"),
    ("metrics", fraud, "evaluate"),
    ("encode", canonical, "encode"),
    ("write + fsync", CheckpointStore, "write"),
)
"""What is timed inside the product: name, owner and attribute."""

TARGET, SLOWER_TARGET = 500_000.0, 250_000.0
"""Rows a second from parquet in one process: of a plain learner, and of one that is slower because
it ranks better. Where this one's ranking comes from is in the section on the learner."""


def measure(*, quick: bool) -> Section:
    """Time reading by format, the stages of a step, and the whole way."""
    days, rounds = (14, 2) if quick else (45, 7)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        files = {suffix: simulated(directory / suffix, days, suffix) for suffix in FORMATS}
        testing = {suffix: paths[-1] for suffix, paths in files.items()}
        base = _warm(files["parquet"][:WARM_UP_DAYS])
        timed_files = {suffix: paths[WARM_UP_DAYS:-1] for suffix, paths in files.items()}

        reading = in_turn(
            {suffix: partial(_read, paths) for suffix, paths in timed_files.items()}, rounds
        )
        whole = in_turn(
            {
                f"{suffix}, {'with' if tested else 'without'} a testing day": partial(
                    _learn,
                    directory,
                    base,
                    timed_files[suffix],
                    testing[suffix] if tested else None,
                )
                for suffix in ("parquet", "pkl")
                for tested in (False, True)
            },
            rounds,
        )
        stages = [_stages(directory, base, timed_files["parquet"]) for _ in range(rounds)]
    measured = len(timed_files["parquet"])
    plain = "parquet, without a testing day"
    reached = Spread.of(cost.rate for cost in whole[plain]).median
    return Section(
        "Pipeline",
        f"One process, pinned arithmetic, {measured} simulated days after {WARM_UP_DAYS} days of "
        f"warm-up, {whole[plain][0].units // measured:,} rows a day; medians (extremes) of "
        f"{rounds} turns. The checkpoint of every day is written and fsynced.",
        [
            _rates("Read and check a day", reading, "parquet", measured),
            _stage_table(stages, measured),
            _rates("From the file to the checkpoint on disk", whole, plain, measured),
        ],
        [
            verdict("rows/s from parquet in one process, without a testing day", reached, TARGET),
            verdict(
                "the same per second of processor time",
                Spread.of(cost.cpu_rate for cost in whole[plain]).median,
                TARGET,
            ),
            verdict(
                "rows/s of a learner that is slower because it ranks better", reached, SLOWER_TARGET
            ),
        ],
    )


def _warm(paths: Sequence[Path]) -> ChainState[FraudModel]:
    point = ChainState.start(TRAINER)
    for path in paths:
        point, _ = train(TRAINER, point, read(TRAINER, path))
    return point


def _read(paths: Sequence[Path]) -> Cost:
    return timed(lambda: sum(read_day(path).rows for path in paths))


def _learn(
    directory: Path, base: ChainState[FraudModel], paths: Sequence[Path], testing: Path | None
) -> Cost:
    """Learn the days on top of `base`, as a worker does between its claims and its commits."""
    with tempfile.TemporaryDirectory(dir=directory) as root:
        share = Share(Path(root))
        share.probe_writable()
        store = CheckpointStore(share)
        test_set = read(TRAINER, testing) if testing else None

        def work() -> int:
            point, rows = base, 0
            for path in paths:
                dataset = read(TRAINER, path)
                point, content = train(TRAINER, point, dataset, testing=test_set)
                store.write(content)
                rows += dataset.data.rows
            return rows

        return timed(work)


def _stages(
    directory: Path, base: ChainState[FraudModel], paths: Sequence[Path]
) -> dict[str, Cost]:
    """Split one turn without a testing day into its stages; only wall time is known of each."""
    seconds: dict[str, float] = {}
    with _watched(seconds):
        whole = _learn(directory, base, paths, None)
    seconds["the rest"] = whole.wall - sum(seconds.values())
    return {stage: Cost(whole.units, wall, cpu=wall) for stage, wall in seconds.items()}


@contextmanager
def _watched(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the time in each stage, not in another within it, while the context lasts."""
    with ExitStack() as stack:
        for stage, owner, name in STAGES:
            seconds[stage] = 0.0
            counting = _counting(vars(owner)[name], stage, seconds)
            stack.enter_context(patch.object(owner, name, counting))
        yield


def _counting(
    call: Callable[..., object], stage: str, seconds: dict[str, float]
) -> Callable[..., object]:
    @wraps(call)
    def counting(*arguments: object, **options: object) -> object:
        begin, before = time.perf_counter(), sum(seconds.values())
        try:
            return call(*arguments, **options)
        finally:
            within = sum(seconds.values()) - before
            seconds[stage] += time.perf_counter() - begin - within

    return counting


def _rates(title: str, costs: Mapping[str, list[Cost]], reference: str, days: int) -> Table:
    rows = [
        [
            name,
            Spread.of(cost.rate for cost in mine).text(),
            Spread.of(cost.cpu_rate for cost in mine).text(),
            Spread.of(cost.wall / days * 1e3 for cost in mine).text(1),
            ratio(mine, costs[reference]).text(2),
        ]
        for name, mine in costs.items()
    ]
    columns = ["from", "rows/s", "rows per CPU second", "ms/day", "times as fast"]
    return Table(title, columns, rows)


def _stage_table(turns: Sequence[Mapping[str, Cost]], days: int) -> Table:
    whole = sum(Spread.of(turn[stage].wall for turn in turns).median for stage in turns[0])
    rows = []
    for stage in turns[0]:
        walls = Spread.of(turn[stage].wall / days * 1e3 for turn in turns)
        rates = Spread.of(turn[stage].rate for turn in turns)
        share = walls.median * days / 1e3 / whole
        rows.append([stage, rates.text(), walls.text(2), f"{share:.0%}"])
    return Table(
        "Stages of a step, from parquet, without a testing day",
        ["stage", "rows/s", "ms/day", "of the whole"],
        rows,
    )

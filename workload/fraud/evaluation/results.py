"""An evaluation from beginning to end, and the shape of its result."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.errors import DatasetRefused, UsageError
from workload.fraud.evaluation import protocols
from workload.fraud.evaluation.calibration import calibration, scenarios
from workload.fraud.evaluation.contenders import AmountOnly, Majority, Prepared, Streaming
from workload.fraud.evaluation.protocols import Learned, Protocol
from workload.fraud.evaluation.resampling import LEVEL, REPLICATES, Draws, figures, interval
from workload.fraud.model import features
from workload.fraud.model.state import LABEL_LAG_DAYS, State
from workload.fraud.transactions import read_day
from workload.share.listing import day_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Contender
    from workload.fraud.evaluation.protocols import Scored
    from workload.fraud.transactions import Day

LEARNER = "learner"
"""Name of this project's own among the contenders."""

MOST_LAG_DAYS = 60


@dataclass(frozen=True, slots=True)
class Settings:
    """What to evaluate, and how.

    Args:
        protocol: which of the two.
        lag_days: age in days at which labels arrive.
        label: label column: 0 genuine, above 0 fraud.
        baselines: whether to fit the handbook's models too; handbook protocol only.
    """

    protocol: Protocol
    lag_days: int = LABEL_LAG_DAYS
    label: str = "TX_FRAUD_SCENARIO"
    baselines: bool = False


def evaluate(
    directory: Path, settings: Settings, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Judge the learner and the baselines on the day files of a directory.

    Args:
        directory: see `files.day_files`.
        settings: what to do.
        progress: called with a word for each day that is done.

    Returns:
        Builtins only. `protocol`, `lag_days`, `days` (first, last, number), `interval` (level,
        replicates, unit), and the contenders: `chain` and `window` are this project's learner,
        learned from every labelled day and from 7 labelled days; `baselines` holds the same two
        for each baseline by name. Each has `folds`, a list, and `mean`, both with the figures of
        `_figures`; a figure that is undefined is None.

    Raises:
        UsageError: the settings contradict each other, or there are too few days.
        DatasetRefused: a day file is malformed; the message names it.
    """
    files = day_files(directory)
    check(directory, list(files), settings)
    first = next(iter(files))
    contenders: dict[str, Contender] = {
        LEARNER: Streaming.untrained(),
        "majority": Majority(),
        "amount": AmountOnly.untrained(),
    }
    days: Iterable[tuple[Day, NDArray[np.float32] | None]]
    days = ((day, None) for day in _days(files, settings.label))
    if settings.baselines:
        from workload.fraud.evaluation.baselines import learned_baselines  # noqa: PLC0415
        from workload.fraud.evaluation.published import with_features  # noqa: PLC0415

        contenders |= learned_baselines(progress)
        days = with_features(list(_days(files, settings.label)), settings.lag_days)
    in_order = prepared(days, first, settings.lag_days, progress)
    run = protocols.handbook if settings.protocol is Protocol.handbook else protocols.prequential
    tests = run(in_order, contenders, settings.lag_days)
    draws = Draws.of(tests)
    both = {
        name: {
            learned.value: _contender(tests, (name, learned), draws, first) for learned in Learned
        }
        for name in contenders
    }
    return {
        "protocol": settings.protocol.value,
        "lag_days": settings.lag_days,
        "days": {
            "first": first.isoformat(),
            "last": max(files).isoformat(),
            "number": len(files),
        },
        "interval": {"level": LEVEL, "replicates": REPLICATES, "unit": "card"},
        **both.pop(LEARNER),
        "baselines": both,
    }


def check(directory: Path, dates: Sequence[dt.date], settings: Settings) -> None:
    """Refuse what cannot be evaluated.

    Args:
        directory: named in the message.
        dates: of the day files, ascending, at least one.
        settings: what was asked for.

    Raises:
        UsageError: one line that says what is needed.
    """
    protocol, lag = settings.protocol, settings.lag_days
    if not 1 <= lag <= MOST_LAG_DAYS:
        raise UsageError(f"--lag-days {lag}: must be 1 to {MOST_LAG_DAYS}")
    if settings.baselines and protocol is not Protocol.handbook:
        raise UsageError("--baselines: the handbook protocol only, which fits them once a fold")
    needed = protocols.days_needed(protocol, lag)
    numbers = [(date - dates[0]).days for date in dates]
    if numbers[-1] < needed - 1:
        raise UsageError(
            f"{directory}: {numbers[-1] + 1} days ({dates[0]} to {dates[-1]}); the {protocol} "
            f"protocol needs {needed} at a label lag of {lag} days (`workload simulate --days 183` "
            "makes enough)"
        )
    if protocol is Protocol.handbook:
        _check_no_gap(directory, dates[0], numbers, range(protocols.LAST_FOLD_DAY - 21, needed))


def _check_no_gap(directory: Path, first: dt.date, numbers: Sequence[int], wanted: range) -> None:
    missing = sorted(set(wanted) - set(numbers))
    if missing:
        date = first + dt.timedelta(missing[0])
        raise UsageError(
            f"{directory}: no file for {date}; the handbook protocol needs every day from day "
            f"{wanted.start} to {wanted.stop - 1} after the first"
        )


def _days(files: dict[dt.date, Path], label: str) -> Iterator[Day]:
    for date, path in files.items():
        try:
            yield read_day(path, label=label, date=date)
        except DatasetRefused as error:
            raise DatasetRefused(f"{path}: {error}") from error


def prepared(
    days: Iterable[tuple[Day, NDArray[np.float32] | None]],
    first: dt.date,
    lag_days: int,
    progress: Callable[[str], None],
) -> Iterator[Prepared]:
    """Let time pass; each day's columns are made before its rows, let alone its labels, are in.

    Args:
        days: in order, each with the handbook's features or None.
        first: the day that has number 0.
        lag_days: age at which labels become visible to the columns.
        progress: called with the date of each day that is done.
    """
    state = State.empty()
    for day, published in days:
        state = state.advance(day.date, lag_days)
        rows = state.rows(day)
        columns = features.columns(state, day, rows)
        yield Prepared((day.date - first).days, day, columns, published)
        state = state.absorb(day, rows)
        progress(day.date.isoformat())


def _contender(
    tests: Sequence[Scored], name: tuple[str, Learned], draws: Draws, first: dt.date
) -> dict[str, Any]:
    drawn = [figures(test, test.probability[name], draws) for test in tests]
    folds = [
        {**_identity(test, first), **_figures(values), **_further(test, test.probability[name])}
        for test, values in zip(tests, drawn, strict=True)
    ]
    stacked = {figure: np.stack([values[figure] for values in drawn]) for figure in drawn[0]}
    deviation = {figure: _number(values[:, 0].std()) for figure, values in stacked.items()}
    mean = _figures({figure: values.mean(axis=0) for figure, values in stacked.items()})
    return {"folds": folds, "mean": {**mean, "deviation": deviation}}


def _identity(test: Scored, first: dt.date) -> dict[str, Any]:
    """Return which rows these are."""

    def span(numbers: tuple[int, int]) -> list[str]:
        return [(first + dt.timedelta(number)).isoformat() for number in numbers]

    return {
        "training": test.training and span(test.training),
        "test": span(test.test),
        "rows": len(test.fraud),
        "frauds": int(np.count_nonzero(test.fraud)),
    }


def _figures(values: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return each figure by name, and under `interval` its bootstrap interval [low, high]."""
    return {
        **{figure: _number(drawn[0]) for figure, drawn in values.items()},
        "interval": {
            figure: ends and [_number(end) for end in ends]
            for figure, drawn in values.items()
            for ends in [interval(drawn)]
        },
    }


def _further(test: Scored, probability: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "calibration": calibration(test, probability),
        "scenarios": scenarios(test, probability),
    }


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None

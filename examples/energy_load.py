"""A trainer on other data than frauds: forecasts the hourly load of a power grid, a day ahead.

Least squares on three numbers per hour: 1, how far the hour lies above the mean of the last week,
and the mean of the day a week before. docs/own-trainer.md walks through it.
"""

from __future__ import annotations

import datetime as dt
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workload.errors import DatasetRefused
from workload.trainers.protocol import Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workload.share.dataset_file import DatasetFile

HOURS, WEEK, NUMBERS = 24, 7, 3
FADES = 0.99
"""What a day's observations are worth the day after."""


@dataclass(frozen=True)
class Day:
    """The load of a day in MW, shape (24,), UTC."""

    date: dt.date
    load: NDArray[np.float64]
    rows = HOURS


@dataclass(frozen=True)
class Forecaster:
    """The last week, shape (up to 7, 24), and the sums that least squares needs."""

    week: NDArray[np.float64]
    gram: NDArray[np.float64]
    moment: NDArray[np.float64]

    def numbers(self) -> NDArray[np.float64]:
        """Return what each hour of the next day is forecast from, shape (24, 3)."""
        shape = self.week.mean(axis=0) - self.week.mean()
        return np.column_stack([np.ones(HOURS), shape, np.full(HOURS, self.week[0].mean())])


class EnergyLoad:
    """See `workload.trainers.protocol.Trainer`."""

    name = "energy-load"
    options: Mapping[str, str] = {}
    headline = ("mean_absolute_error",)

    def prepare(self, file: DatasetFile) -> Day:
        """Read columns `time` (ISO 8601, UTC) and `load_mw`; 24 rows in order."""
        if file.suffix != ".csv":
            raise DatasetRefused(f"is a {file.suffix} file; only .csv is read")
        try:
            frame = pd.read_csv(io.BytesIO(file.content))
            time = pd.DatetimeIndex(pd.to_datetime(frame["time"], format="ISO8601", utc=True))
            load = frame["load_mw"].to_numpy(np.float64)
        except (KeyError, ValueError) as error:
            raise DatasetRefused("needs the columns time and load_mw, dates and numbers") from error
        if list(time.hour) != list(range(HOURS)) or time[0].date() != time[-1].date():
            raise DatasetRefused("needs a row for each hour of one day (UTC), from 00:00 to 23:00")
        if not np.isfinite(load).all():
            raise DatasetRefused("column load_mw: a value is missing or not finite")
        return Day(time[0].date(), load)

    def start(self) -> Forecaster:
        """Return a forecaster that has seen nothing."""
        return Forecaster(np.zeros((0, HOURS)), np.zeros((NUMBERS, NUMBERS)), np.zeros(NUMBERS))

    def train(self, model: Forecaster, data: Day) -> Trained[Forecaster]:
        """Learn a day; from the eighth day on there is a week to forecast from."""
        gram, moment = model.gram, model.moment
        if len(model.week) == WEEK:
            numbers = model.numbers()
            gram = gram * FADES + numbers.T @ numbers
            moment = moment * FADES + numbers.T @ data.load
        week = np.vstack([model.week, data.load])[-WEEK:]
        return Trained(Forecaster(week, gram, moment), {"mean_load": float(data.load.mean())})

    def evaluate(self, model: Forecaster, data: Day) -> dict[str, object]:
        """Return the mean error in MW beside that of "as a week before"; None before a forecast."""
        if not model.gram.any():
            return {"mean_absolute_error": None, "error_of_last_week": None}
        weights = np.linalg.solve(model.gram + np.eye(NUMBERS), model.moment)
        return {
            "mean_absolute_error": float(np.abs(model.numbers() @ weights - data.load).mean()),
            "error_of_last_week": float(np.abs(model.week[0] - data.load).mean()),
        }

    def save(self, model: Forecaster) -> dict[str, object]:
        """Return arrays only."""
        return dict(vars(model))

    def load(self, saved: Mapping[str, Any]) -> Forecaster:
        """Restore a forecaster.

        Raises:
            ValueError: the sums are of other numbers.
        """
        if saved["gram"].shape != (NUMBERS, NUMBERS):
            raise ValueError(f"sums of {len(saved['gram'])} numbers; this version has {NUMBERS}")
        return Forecaster(saved["week"], saved["gram"], saved["moment"])


def write_days(root: Path, days: int) -> None:
    """Write so many days of a made-up grid to `root/training`, and the next to `testing`."""
    for number in range(days + 1):
        date, hours = dt.date(2024, 1, 1) + dt.timedelta(number), np.arange(HOURS)
        load = 250 * np.sin((hours - 8) * np.pi / 12) + (720 if date.isoweekday() > 5 else 900)
        load += np.random.default_rng(number).normal(0, 25, HOURS)
        path = root / (f"training/{date}.csv" if number < days else "testing/test_dataset.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        time = pd.date_range(date, periods=HOURS, freq="h")
        pd.DataFrame({"time": time, "load_mw": load.round(1)}).to_csv(path, index=False)


if __name__ == "__main__":
    write_days(Path(sys.argv[1]), int(sys.argv[2]))

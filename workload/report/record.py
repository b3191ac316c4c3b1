"""What a ledger record says of any trainer's dataset, as plain values.

A value that is missing or of another type reads as None, so that a report can always be written: it
is the last thing that may fail.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from workload.text import printable

Record = Mapping[str, object]
"""A line of the ledger or of the dead letters, as read from JSON."""

Numbers = Mapping[str, float | None]
"""The metrics of a test that are one number, by name; None where one is undefined."""

WAITING = "wait"
"""The stage among a record's `seconds` in which a worker waits for its turn."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One committed dataset. All text is printable, and empty where it is missing."""

    dataset: str
    """Path below the share."""
    date: dt.date | None
    rows: int
    checkpoint: str
    """Hash of the checkpoint trained on it."""
    checkpoint_file: str
    base: str | None
    """Hash of the checkpoint that the training started from; None for the first dataset."""
    trainer: str
    headline: tuple[str, ...]
    """Names of the metrics to show first, the most important one last."""
    training: Numbers | None
    """Metrics on the dataset itself, after training on it."""
    next_day: Numbers | None
    """Metrics of the base checkpoint on the dataset."""
    testing: Numbers | None
    """Metrics on the testing dataset."""
    testing_note: str | None
    """Why there are no metrics on the testing dataset."""
    attempts: int
    """How often it failed."""
    crashes: int
    rows_per_second: float | None
    """Rows over the seconds spent on it, without those of waiting for its turn."""

    @property
    def file_name(self) -> str:
        """The dataset's file name without its directory."""
        return self.dataset.rsplit("/", 1)[-1]


def read_committed(record: Record) -> Committed:
    """Read a ledger record."""
    metrics = read_mapping(record.get("metrics"))
    headline, base, note = record.get("headline"), record.get("base"), metrics.get("testing_note")
    rows = read_count(record.get("rows")) or 0
    stages = read_mapping(record.get("seconds"))
    busy = math.fsum(read_number(stages[stage]) or 0.0 for stage in stages if stage != WAITING)
    return Committed(
        dataset=printable(record.get("dataset", "")),
        date=read_date(record.get("date")),
        rows=rows,
        checkpoint=printable(record.get("checkpoint", "")),
        checkpoint_file=printable(record.get("checkpoint_file", "")),
        base=None if base is None else printable(base),
        trainer=printable(record.get("trainer", "")),
        headline=tuple(printable(name) for name in headline) if isinstance(headline, list) else (),
        training=read_numbers(metrics.get("training")),
        next_day=read_numbers(metrics.get("next_day")),
        testing=read_numbers(metrics.get("testing")),
        testing_note=printable(note) if note else None,
        attempts=read_count(record.get("attempts")) or 0,
        crashes=read_count(record.get("crashes")) or 0,
        rows_per_second=read_number(rows / busy) if busy > 0.0 else None,
    )


def read_mapping(value: object) -> Record:
    """Return a mapping as it is; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def read_count(value: object) -> int | None:
    """Return a count, from 0 to `sys.maxsize`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= sys.maxsize:
        return None
    return value


def read_number(value: object) -> float | None:
    """Return a finite number."""
    number = _float(value)
    return number if number is not None and math.isfinite(number) else None


def read_numbers(metrics: object) -> Numbers | None:
    """Return the metrics that are one number, finite or not, or undefined; None without metrics."""
    if not isinstance(metrics, Mapping):
        return None
    return {
        printable(name): _float(value)
        for name, value in metrics.items()
        if value is None or _float(value) is not None
    }


def read_date(value: object) -> dt.date | None:
    """Return a date written as in ISO 8601."""
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None

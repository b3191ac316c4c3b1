"""Simulated days as files."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING

from workload.fraud.simulator import simulate

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("pkl", "parquet", "csv")


def simulated(directory: Path, days: int, file_format: str) -> list[Path]:
    """Write `days` default training days and the testing day after; return all, in order.

    Args:
        directory: gets the subdirectories `training` and `testing`.
        days: number of training days.
        file_format: one of `FORMATS`.
    """
    if file_format != "csv":
        return simulate(directory, days=days, file_format=file_format)
    return [_as_csv(path) for path in simulate(directory, days=days, file_format="pkl")]


def _as_csv(path: Path) -> Path:
    frame = pickle.loads(path.read_bytes())  # noqa: S301 - just written
    text = io.StringIO()
    frame.to_csv(text, index=False)
    path.unlink()
    csv = path.with_suffix(".csv")
    csv.write_text(text.getvalue(), "utf-8")
    return csv

"""The report of any trainer: `report.txt` and `report.html`, both projections of the ledger.

A trainer may have a report of its own, built on these parts, as `workload.fraud.report` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.report import text
from workload.report.record import read_committed
from workload.share.durable import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from workload.report.record import Record

__all__ = ["closing_line", "next_command", "save", "write_report"]


def write_report(
    ledger: Sequence[Record], dead: Sequence[Record], output: Path, *, generated: datetime
) -> tuple[Path, Path]:
    """Write `report.txt` and `report.html` into `output`, replacing older ones atomically.

    The same arguments give the same bytes.

    Args:
        ledger: one record per committed dataset, in the order of training.
        dead: one mapping per dead letter: `dataset`, `reason` and `kind` ("refused" or
            "skipped"). Names and reasons may hold any text; they are escaped.
        output: an existing directory.
        generated: time stated in the report.

    Returns:
        The paths of the text report and of the page.

    Raises:
        OSError: the directory is missing, full or not writable.
    """
    from workload.report.page import page  # noqa: PLC0415 - loads matplotlib

    steps = [read_committed(record) for record in ledger]
    return save(
        output,
        text.text_report(steps, dead, generated=generated),
        page(steps, dead, generated=generated),
    )


def closing_line(record: Record) -> str:
    """Say in one line how good the newest checkpoint is.

    Args:
        record: its ledger record.
    """
    return text.closing_line(read_committed(record))


def next_command(_checkpoint: Path) -> str | None:
    """Return a command that uses a checkpoint, to be shown after a run; None: there is none."""
    return None


def save(output: Path, text_report: str, page: str) -> tuple[Path, Path]:
    """Write both reports; see `write_report`."""
    paths = output / "report.txt", output / "report.html"
    for path, content in zip(paths, (text_report, page), strict=True):
        write_atomic(path, content.encode())
    return paths

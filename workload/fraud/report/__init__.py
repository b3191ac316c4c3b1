"""The report of the trainer `fraud`: that of any trainer, with what only frauds have."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from workload.fraud.report import text
from workload.fraud.report.scores import read_step
from workload.report import save

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from workload.report.record import Record

__all__ = ["closing_line", "next_command", "text_entry", "write_report"]


def write_report(
    ledger: Sequence[Record], dead: Sequence[Record], output: Path, *, generated: datetime
) -> tuple[Path, Path]:
    """Write `report.txt` and `report.html`; see `workload.report.write_report`."""
    from workload.fraud.report.page import page  # noqa: PLC0415 - loads matplotlib

    steps = [read_step(record) for record in ledger]
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
    return text.closing_line(read_step(record))


def next_command(checkpoint: Path) -> str | None:
    """Return the command that scores transactions with a checkpoint."""
    return f"workload score --checkpoint {quote(str(checkpoint))} --dataset FILE --out scores.csv"


def text_entry(record: Record, *, generated: datetime) -> str:
    """Write the entry of one dataset in `report.txt`, ending with a newline.

    Args:
        record: its ledger record; only `dataset`, `checkpoint_file`, `base` and `metrics` matter.
        generated: time stated in the entry.
    """
    return text.entry(read_step(record), generated=generated)

"""The report of a run: `report.txt` and `report.html`, both projections of the ledger.

This one is of the trainer `fraud`; `workload.report.plain` writes that of any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.fraud.report.text import closing_line, text_entry, text_report
from workload.share.durable import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

__all__ = ["closing_line", "text_entry", "write_report"]


def write_report(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    output: Path,
    *,
    generated: datetime,
) -> tuple[Path, Path]:
    """Write `report.txt` and `report.html` into `output`, replacing older ones atomically.

    The same arguments give the same bytes.

    Args:
        ledger: one record per committed dataset, in fold order.
        dead: one mapping per dead letter: `dataset`, `reason` and `kind` ("refused" or
            "skipped"). Names and reasons may hold any text; they are escaped.
        output: an existing directory.
        generated: time stated in the report.

    Returns:
        The paths of the text report and of the page.

    Raises:
        OSError: the directory is missing, full or not writable.
    """
    from workload.fraud.report.page import page  # noqa: PLC0415 - loads matplotlib

    text, html = output / "report.txt", output / "report.html"
    write_atomic(text, text_report(ledger, dead, generated=generated).encode())
    write_atomic(html, page(ledger, dead, generated=generated).encode())
    return text, html

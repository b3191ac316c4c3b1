"""When the reports are written, and from what."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workload.errors import UsageError
from workload.ledger import NAME, read_ledger
from workload.report import write_report
from workload.share import write_atomic, writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from workload.queue import DeadLetter
    from workload.share import Share

DEAD_LETTERS = "dead.jsonl"
"""Beside the ledger: the datasets left out of the chain, one JSON object a line."""


def refresh_report(
    share: Share, lines: Sequence[Mapping[str, Any]], dead: Sequence[DeadLetter]
) -> None:
    """Writes dead letters and reports, unless the reports are younger than what they show."""
    letters = "".join(
        json.dumps({"dataset": letter.dataset, "kind": letter.kind, "reason": letter.reason}) + "\n"
        for letter in dead
    ).encode()
    sources = [share.output / NAME, share.output / DEAD_LETTERS]
    report = share.output / "report.html"
    with writing(share.output):
        if not sources[1].exists() or sources[1].read_bytes() != letters:
            write_atomic(sources[1], letters)
        with suppress(FileNotFoundError):
            written = report.stat().st_mtime_ns
            if all(source.stat().st_mtime_ns < written for source in sources):
                return
        _write(share.output, lines)


def rewrite_report(root: Path) -> tuple[Path, Path]:
    """Writes both reports again from the ledger and the dead letters on a share.

    Raises:
        UsageError: there is no ledger.
    """
    output = root / "output"
    lines = read_ledger(output / NAME)
    if not lines:
        raise UsageError(f"{output / NAME}: no ledger; `workload run --share {root}` makes one")
    with writing(output):
        return _write(output, lines)


def _write(output: Path, lines: Sequence[Mapping[str, Any]]) -> tuple[Path, Path]:
    letters = (output / DEAD_LETTERS).read_text("utf-8") if (output / DEAD_LETTERS).exists() else ""
    dead = [json.loads(line) for line in letters.splitlines()]
    return write_report(lines, dead, output, generated=datetime.now(UTC))

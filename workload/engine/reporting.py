"""When the reports are written, from what, and by whom: a trainer may have a report of its own."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol, cast

from workload.engine.checkpoints import read_plain
from workload.engine.ledger import LEDGER_FILE, MAX_BYTES, read_ledger
from workload.errors import UsageError
from workload.share.durable import write_atomic, writing
from workload.share.store import OUTPUT, require_plain_output
from workload.trainers.identity import trainer_of
from workload.trainers.loading import report_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from workload.queue import DeadLetter
    from workload.share.store import Share

DEAD_LETTERS = "dead.jsonl"
"""Beside the ledger: the datasets left out of the chain, one JSON object a line."""


class Report(Protocol):
    """A module that writes reports, from ledger records and nothing else."""

    def write_report(
        self,
        ledger: Sequence[Mapping[str, object]],
        dead: Sequence[Mapping[str, object]],
        output: Path,
        *,
        generated: datetime,
    ) -> tuple[Path, Path]:
        """Write both reports; see `workload.report.write_report`."""

    def closing_line(self, record: Mapping[str, object]) -> str:
        """Return one line on the newest checkpoint; see `workload.report.closing_line`."""

    def next_command(self, checkpoint: Path) -> str | None:
        """Return a command to show after a run; see `workload.report.next_command`."""


def closing_line(record: Mapping[str, Any]) -> str:
    """Say in one line how good the checkpoint of a ledger record is."""
    return _report(trainer_of(record)).closing_line(record)


def next_command(record: Mapping[str, Any], output: Path) -> str | None:
    """Return a command that uses the checkpoint of a ledger record, if its trainer has one."""
    return _report(trainer_of(record)).next_command(output / record["checkpoint_file"])


def refresh_report(
    share: Share, lines: Sequence[Mapping[str, Any]], dead: Sequence[DeadLetter], trainer: str
) -> None:
    """Write dead letters and reports, unless the reports are younger than what they show.

    Args:
        share: where they go.
        lines: of the ledger.
        dead: datasets that were left out.
        trainer: name of the trainer.
    """
    letters = "".join(
        json.dumps({"dataset": letter.dataset, "kind": letter.kind, "reason": letter.reason}) + "\n"
        for letter in dead
    ).encode()
    sources = [share.output / LEDGER_FILE, share.output / DEAD_LETTERS]
    report = share.output / "report.html"
    with writing(share.output):
        if _read(sources[1]) != letters:
            write_atomic(sources[1], letters)
        with suppress(FileNotFoundError):
            written = report.stat().st_mtime_ns
            if all(source.stat().st_mtime_ns < written for source in sources):
                return
        _write(share.output, lines, trainer)


def rewrite_report(root: Path) -> tuple[Path, Path]:
    """Write both reports again from the ledger and the dead letters on a share.

    Raises:
        UsageError: there is no ledger.
    """
    require_plain_output(root)
    output = root / OUTPUT
    lines = read_ledger(output / LEDGER_FILE)
    if not lines:
        raise UsageError(
            f"{output / LEDGER_FILE}: no ledger; "
            f"`workload run --share {quote(str(root))}` makes one"
        )
    with writing(output):
        return _write(output, lines, trainer_of(lines[-1]))


def _write(output: Path, lines: Sequence[Mapping[str, Any]], trainer: str) -> tuple[Path, Path]:
    try:
        letters = (_read(output / DEAD_LETTERS) or b"").decode()
        dead = [json.loads(line) for line in letters.splitlines()]
        if not all(isinstance(letter, dict) for letter in dead):
            raise ValueError("a line is no object")  # noqa: TRY301
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{output / DEAD_LETTERS}: not the list of dead letters ({error}); remove it, the next "
            "run writes it again"
        ) from error
    return _report(trainer).write_report(lines, dead, output, generated=datetime.now(UTC))


def _read(path: Path) -> bytes | None:
    """Return the bytes of a file; None when it is not there or is no plain file."""
    with suppress(FileNotFoundError, ValueError):
        return read_plain(path, most=MAX_BYTES)
    return None


def _report(trainer: str) -> Report:
    return cast("Report", import_module(report_module(trainer)))

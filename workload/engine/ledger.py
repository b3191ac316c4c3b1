"""The ledger: one line per committed dataset, a projection of the commits kept in Redis.

The ledger proves what was published: a dataset has a line only after its checkpoint has its
published name.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workload.engine.checkpoints import CheckpointStore, check_names, read_plain
from workload.errors import UsageError
from workload.queue import Commit, Queue
from workload.share.durable import write_atomic, writing
from workload.text import decimals
from workload.trainers.identity import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from workload.share.store import Share

LEDGER_FILE = "ledger.jsonl"

_FIELDS = {"dataset", "date", "checkpoint", "attempts", "crashes", "committed", *FIELDS}


def ledger_line(commit: Commit) -> dict[str, Any]:
    """Return a commit as the ledger shows it."""
    return {
        **commit.record,
        "attempts": commit.attempts,
        "crashes": commit.crashes,
        "committed": commit.committed,
    }


def commit_of(line: Mapping[str, Any]) -> Commit:
    """Return the commit a ledger line was made from."""
    envelope = {"attempts", "crashes", "committed"}
    record = {key: value for key, value in line.items() if key not in envelope}
    return Commit(record, line["attempts"], line["crashes"], line["committed"])


def headline(record: Mapping[str, Any]) -> dict[str, str]:
    """Return a record's figures for where there is room for few: of the next day, if tested."""
    metrics = record["metrics"]["next_day"] or record["metrics"]["training"]
    return {name: _figure(metrics.get(name)) for name in record["headline"]}


def _figure(value: object) -> str:
    """Return a metric for a line of text."""
    return decimals(value) if value is None or isinstance(value, float) else str(value)


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return the ledger's lines; none when there is no ledger.

    Raises:
        UsageError: the file is not a ledger.
    """
    try:
        content = read_plain(path)
        lines = [json.loads(line) for line in content.decode().splitlines()]
        if not all(isinstance(line, dict) and line.keys() >= _FIELDS for line in lines):
            raise ValueError("a line lacks fields")  # noqa: TRY301
        for line in lines:
            check_names(line)
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise UsageError(
            f"{path}: not a ledger of this version ({error}); "
            "`workload queue rebuild` writes it again"
        ) from error
    return lines


@dataclass(slots=True)
class Projector:
    """Publishes committed checkpoints and rewrites the ledger.

    Any number of projectors may work on one share: each looks again after it has written, so the
    one that writes last has seen every commit.

    Args:
        share: where to publish.
        queue: where the commits are.
        interval: shortest time between two ledgers, in seconds, while work goes on.
    """

    share: Share
    queue: Queue
    interval: float = 1.0
    _lines: list[dict[str, Any]] = field(default_factory=list)
    _written: int = -1
    _written_at: float = float("-inf")

    def project(self, *, force: bool = True) -> list[dict[str, Any]]:
        """Bring share and ledger up to the commits; return the ledger's lines.

        Args:
            force: write the ledger even when the last one is younger than `interval`.
        """
        store = CheckpointStore(self.share)
        proven: set[str] = set()
        while True:
            known = len(self._lines)
            commits = self.queue.commits(max(0, known - 1))
            if known:  # the last known commit again: it tells whether the chain is still the same
                last = self._lines[-1]["checkpoint"]
                if not commits or commits[0].record["checkpoint"] != last:
                    self._lines, self._written = [], -1
                    continue
                del commits[0]
            elif commits:
                lines = ledger_if_any(self.share)
                proven = {line["checkpoint"] for line in lines} - store.withdrawn(lines)
            if not commits:
                break
            for commit in commits:
                if commit.record["checkpoint"] not in proven:
                    store.publish(commit.record)
                self._lines.append(ledger_line(commit))
            self._write(force=force)
        self._write(force=force)
        return self._lines

    def _write(self, *, force: bool) -> None:
        now = time.monotonic()
        if self._written == len(self._lines):
            return
        if not force and now - self._written_at < self.interval:
            return
        if self._lines:
            write_ledger(self.share, self._lines)
        self._written, self._written_at = len(self._lines), now


def write_ledger(share: Share, lines: Sequence[Mapping[str, Any]]) -> None:
    """Replace the ledger; leave an equal one alone, with its time stamp."""
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = share.output / LEDGER_FILE
    with writing(path):
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)


def ledger_if_any(share: Share) -> list[dict[str, Any]]:
    """Return the ledger's lines; none when it is damaged."""
    try:
        return read_ledger(share.output / LEDGER_FILE)
    except UsageError:
        return []

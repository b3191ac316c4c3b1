"""The ledger: one line per committed dataset, a projection of the commits kept in Redis.

The ledger proves what was published: a dataset has a line only after its checkpoint has its
published name.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workload.engine.checkpoints import REBUILD, CheckpointStore, read_plain
from workload.engine.records import check_chain, check_commit
from workload.errors import ChainForgotten, UsageError
from workload.queue import Commit, Queue
from workload.share.durable import sha256, write_in_turn, writing
from workload.text import decimals, excerpt
from workload.trainers.identity import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from workload.share.store import Share

LEDGER_FILE = "ledger.jsonl"

MAX_BYTES = 1 << 30
"""Largest ledger that is written and read: 1 GiB, some 400,000 days."""

_TAIL_BYTES = 1 << 16

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
        content = read_plain(path, most=MAX_BYTES)
        lines = [_line(text) for text in content.decode().splitlines()]
        check_chain(lines)
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise UsageError(
            f"{path}: not a ledger of this version ({excerpt(error)}); "
            "`workload queue rebuild` writes it again"
        ) from error
    return lines


def sound_lines(share: Share) -> list[dict[str, Any]]:
    """Return the ledger's lines up to the first that does not continue the chain."""
    lines: list[dict[str, Any]] = []
    with suppress(FileNotFoundError, ValueError):
        for text in read_plain(share.output / LEDGER_FILE, most=MAX_BYTES).splitlines():
            line = _line(text)
            check_chain([line], lines[-1] if lines else None)
            lines.append(line)
    return lines


def _line(text: str | bytes) -> dict[str, Any]:
    """Return a line of the ledger; raise ValueError when it is none."""
    try:
        line = json.loads(text)
    except RecursionError as error:
        raise ValueError("a line is nested too deep") from error
    if not isinstance(line, dict) or not line.keys() >= _FIELDS:
        raise ValueError("a line lacks fields")
    return line


def committed(queue: Queue, start: int = 0) -> list[Commit]:
    """Return the commits in Redis from position `start` on, once they are checked.

    Args:
        queue: where they are.
        start: position of the first; -1 for the last commit alone.

    Raises:
        UsageError: one is none that a worker makes, or does not continue the chain.
    """
    commits = queue.commits(start)
    records = [commit.record for commit in commits]
    try:
        if start == 0:
            check_chain(records)
        elif records:
            check_commit(records[0])
            check_chain(records[1:], records[0])
    except ValueError as error:
        raise UsageError(f"a commit in Redis: {error}; {REBUILD}") from error
    return commits


def last_line(path: Path) -> dict[str, Any] | None:
    """Return the ledger's last line, without reading the others; None when there is none.

    Raises:
        UsageError: the file is not a ledger.
    """
    size = _TAIL_BYTES
    try:
        while True:
            tail = read_plain(path, last=size, most=MAX_BYTES)
            lines = tail.splitlines()
            if len(tail) < size or len(lines) > 1:
                break
            size *= 8
        if not lines:
            return None
        line = _line(lines[-1])
        check_commit(line)
    except FileNotFoundError:
        return None
    except ValueError:
        return read_ledger(path)[-1]  # says what is wrong
    return line


@dataclass(slots=True)
class Projector:
    """Publishes committed checkpoints and rewrites the ledger.

    Any number of projectors may work on one share: the ledger only ever grows, one that was
    stopped for long included (`workload.share.durable.write_in_turn`), until a rebuild replaces it.

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

        Raises:
            ChainForgotten: the ledger proves commits that Redis does not know.
        """
        store = CheckpointStore(self.share)
        proven: set[str] = set()
        while True:
            known = len(self._lines)
            commits = committed(self.queue, max(0, known - 1))
            if known:  # the last known commit again: it tells whether the chain is still the same
                if _checkpoints(commits[:1]) != [self._lines[-1]["checkpoint"]]:
                    self._lines, self._written = [], -1
                    continue
                del commits[0]
            elif commits:
                lines = ledger_if_any(self.share)
                proven = {line["checkpoint"] for line in lines} - store.withdrawn(lines)
            for commit in commits:
                if commit.record["checkpoint"] not in proven:
                    store.publish(commit.record)
                self._lines.append(ledger_line(commit))
            if self._write(force=force) and not commits:
                return self._lines

    def _write(self, *, force: bool) -> bool:
        """Write the ledger, if it is time; return False when there is something new to read."""
        now = time.monotonic()
        if self._written == len(self._lines):
            return True
        if not force and now - self._written_at < self.interval:
            return True
        path = self.share.output / LEDGER_FILE
        if not self._lines and self.queue.void_ledger() is None and last_line(path) is None:
            return True
        try:
            if not write_ledger(self.share, self._lines, self._may_replace):
                return False
        except _Outdated:
            return False
        self._written, self._written_at = len(self._lines), now
        return True

    def _may_replace(self, ledger: Sequence[Mapping[str, Any]]) -> None:
        """Raise if a ledger that was read is not to be replaced by this one's lines.

        Raises:
            _Outdated: there is another chain, or more of it, than these lines tell.
            ChainForgotten: the ledger proves commits that Redis does not know.
        """
        chain = [line["checkpoint"] for line in self._lines]
        newer = _checkpoints(committed(self.queue, max(0, len(chain) - 1)))
        if chain and newer[:1] != chain[-1:]:
            raise _Outdated
        proven = [line["checkpoint"] for line in ledger]
        if proven == chain[: len(proven)]:
            return
        if proven == [*chain[:-1], *newer][: len(proven)]:
            raise _Outdated
        if self.queue.void_ledger() != ledger_hash(self.share):
            raise ChainForgotten(
                f"{self.share.output / LEDGER_FILE}: Redis does not know all commits that it proves"
            )


class _Outdated(Exception):
    """The commits that were read are no longer all there are."""


def _checkpoints(commits: Sequence[Commit]) -> list[str]:
    return [commit.record["checkpoint"] for commit in commits]


def write_ledger(
    share: Share,
    lines: Sequence[Mapping[str, Any]],
    check: Callable[[Sequence[Mapping[str, Any]]], None],
) -> bool:
    """Replace the ledger, in turn with other writers; leave an equal one alone.

    Args:
        share: where the ledger is.
        lines: what it shall say.
        check: called with the lines that are there; raises when they are not to be replaced.

    Returns:
        Whether it says so now: False when another writer took the turn.
    """
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = share.output / LEDGER_FILE
    with writing(path):
        if len(content) > MAX_BYTES:
            raise UsageError(f"{path}: would have {len(content)} bytes; at most {MAX_BYTES}")
        with suppress(FileNotFoundError, ValueError):
            if read_plain(path) == content:
                return True

        def look() -> None:
            with suppress(FileNotFoundError, ValueError):
                there = read_plain(path, most=MAX_BYTES)
                if there.endswith(b"\n") and content.startswith(there):  # nothing to be parsed
                    return check(lines[: there.count(b"\n")])
            return check(ledger_if_any(share))

        return write_in_turn(path, content, look)


def ledger_hash(share: Share) -> str:
    """Return the hash of the ledger file as it is; of no bytes when there is none."""
    try:
        return sha256(read_plain(share.output / LEDGER_FILE, most=MAX_BYTES))
    except (FileNotFoundError, ValueError):
        return sha256(b"")


def ledger_if_any(share: Share) -> list[dict[str, Any]]:
    """Return the ledger's lines; none when it is damaged."""
    try:
        return read_ledger(share.output / LEDGER_FILE)
    except UsageError:
        return []

"""Copies datasets to the share and results from it, through a pod: `send|fetch DIRECTORY POD`.

All files go through one command in the pod; `workload/share/stream.py` says how.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from scripts.cluster.console import Failure, Line, amount, run, unknown_arguments
from scripts.cluster.pipes import talking
from scripts.cluster.resuming import ResumedTransfer
from workload.errors import UsageError
from workload.share.durable import sha256, sync
from workload.share.listing import dataset_files, left_out
from workload.share.store import OUTPUT
from workload.share.stream import (
    END,
    PRESENT,
    STORED,
    Interrupted,
    SharedFile,
    leftovers,
    list_lines,
    offset_of,
    partial_path,
    read_list,
    request_line,
)
from workload.text import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

LEDGER = "output/ledger.jsonl"

_CHUNK = 1 << 18
_ANSWER = 32
"""Longest answer of a receiver, in bytes."""

_ASKED = 16
"""Files that are asked for before the first of them has come: their lines fit into a pipe."""


# To the share


def send_all(directory: Path, pod: str) -> None:
    """Copy the datasets that the share does not have."""
    paths = dataset_files(directory)
    warn(*left_out(directory))
    print(f"{len(paths)} files in {directory}; comparing with the share", flush=True)  # noqa: T201
    sending = _Sending(paths, Line())
    sending.persist(pod)
    sending.line.stay(f"Transferred {sending.copied} files, {sending.present} were there")


class _Sending(ResumedTransfer):
    """A transfer to the share."""

    def __init__(self, paths: list[Path], line: Line) -> None:
        super().__init__(line)
        self.present = 0
        self._compared = False
        self._paths: dict[SharedFile, Path] = {}
        self._heads: dict[SharedFile, str] = {}
        for number, path in enumerate(paths, 1):
            head = f"{number}/{len(paths)} datasets/{path.parent.name}/{path.name}"
            line.update(head)
            file = SharedFile(head.partition(" ")[2], path.stat().st_size, sha256(path))
            self._paths[file], self._heads[file] = path, head
        self._rest = list(self._paths)

    def attempt(self, pod: str) -> None:
        with talking(pod, "share", "receive") as (sink, source):
            answers = _Answers(source)
            sink.writelines(list_lines(self._rest))
            sink.flush()
            missing = self._missing(answers)
            with suppress(BrokenPipeError):  # what was stored before it broke counts
                for file, offset in missing:
                    for _ in self._feed(file, offset, sink):
                        self._store(answers.so_far())
            self._store(answers.all(len(self._rest)))

    def _missing(self, answers: _Answers) -> list[tuple[SharedFile, int]]:
        """Return what is not on the share, and the byte that each file must start at."""
        missing = []
        for file, answer in zip(self._rest, answers.all(len(self._rest)), strict=True):
            if answer != PRESENT:
                if not answer.isdecimal() or int(answer) > file.size:
                    raise Failure(f"{file.path}: unexpected answer of the share: {answer!r}")
                missing.append((file, int(answer)))
        done = len(self._rest) - len(missing)
        if self._compared:  # it was not there before: only the answer was lost
            self.copied += done
        else:
            self._compared, self.present = True, done
        self._rest = [file for file, _ in missing]
        return missing

    def _feed(self, file: SharedFile, offset: int, sink: IO[bytes]) -> Iterator[None]:
        """Write a file from a byte on, a piece at a time."""
        path = self._paths[file]
        with path.open("rb") as source:
            source.seek(offset)
            while offset < file.size:
                chunk = source.read(min(_CHUNK, file.size - offset))
                if not chunk:
                    raise Failure(f"{path}: became shorter while it was copied")
                sink.write(chunk)
                offset += len(chunk)
                self.line.update(f"{self._heads[file]}  {amount(offset)} of {amount(file.size)}")
                yield
        sink.flush()

    def _store(self, answers: Iterator[str]) -> None:
        """Note that the share has stored the next files."""
        for answer in answers:
            if not self._rest or answer != STORED:
                raise Failure(f"{self.at}: unexpected answer of the share: {answer!r}")
            file = self._rest.pop(0)
            self.copied += 1
            self.line.stay(f"{self._heads[file]}  {amount(file.size)}")


class _Answers:
    """The lines of a receiver, read while it is written to."""

    def __init__(self, source: IO[bytes]) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: IO[bytes]) -> None:
        with suppress(ValueError):  # it is closed when nobody waits for answers any more
            while (line := source.readline(_ANSWER)).endswith(b"\n"):
                self._lines.put(line.decode(errors="replace").strip())
            if len(line) == _ANSWER:
                self._lines.put(line.decode(errors="replace"))
        self._lines.put(None)

    def all(self, count: int) -> Iterator[str]:
        """Yield the next `count` lines; raises EOFError when they don't come."""
        for _ in range(count):
            line = self._lines.get()
            if line is None:
                raise EOFError
            yield line

    def so_far(self) -> Iterator[str]:
        """Yield the lines that are here."""
        while not self._lines.empty():
            yield from self.all(1)


# From the share


def fetch_all(directory: Path, pod: str) -> None:
    """Copy ledger, reports, and the checkpoints that the ledger proves."""
    fetching = _Fetching(directory, Line())
    fetching.persist(pod)
    fetching.tell()


class _Fetching(ResumedTransfer):
    """Results on their way to a directory."""

    def __init__(self, directory: Path, line: Line) -> None:
        super().__init__(line)
        self.directory = directory
        self.present = 0
        self.wrong: list[str] = []
        self._old: dict[str, list[Path]] = {}
        self._taken: set[str] = set()

    def attempt(self, pod: str) -> None:
        with talking(pod, "share", "send") as (sink, source):
            there = {file.path: file for file in _results(source)}
            self.directory.mkdir(parents=True, exist_ok=True)
            self._old = leftovers(self.directory)
            # First, so that it names no checkpoint that was published after the list was made.
            ledger = there.get(LEDGER)
            if ledger and not _is_here(ledger, self._target(LEDGER)):
                self._fetch([ledger], sink, source)
            proven = _proven(self._target(LEDGER)) if ledger else {}
            others = [name for name in there if name != LEDGER and not _is_checkpoint(name)]
            wanted = self._wanted(list(dict.fromkeys([*others, *proven])), there, proven)
            self._fetch(wanted, sink, source)
            sink.write(END)

    def _wanted(
        self, names: list[str], there: dict[str, SharedFile], proven: dict[str, str]
    ) -> list[SharedFile]:
        """Return what must be fetched; note what must not be, and what is here."""
        reasons = {name: _refusal(name, there, proven, self._target(name)) for name in names}
        self.wrong = [reason for reason in reasons.values() if reason]
        allowed = [there[name] for name, reason in reasons.items() if not reason]
        wanted = [file for file in allowed if not _is_here(file, self._target(file.path))]
        missing = {file.path for file in wanted} | self._taken
        self.present = sum(file.path not in missing for file in allowed)
        return wanted

    def _fetch(self, files: list[SharedFile], sink: IO[bytes], source: IO[bytes]) -> None:
        """Ask for files, some ahead, and take them in turn."""
        ahead = deque(files)
        asked: deque[tuple[SharedFile, int]] = deque()
        while ahead or asked:
            while ahead and len(asked) < _ASKED:
                file = ahead.popleft()
                offset = offset_of(self._target(file.path), file)
                asked.append((file, offset))
                sink.write(request_line(file.path, offset))
            sink.flush()
            self._take(*asked.popleft(), source)

    def _take(self, file: SharedFile, offset: int, source: IO[bytes]) -> None:
        """Take a file from a byte on; it gets its name when it is whole and has its hash."""
        self.at, target = file.path, self._target(file.path)
        partial = partial_path(target, file)
        with partial.open("ab") as sink:
            sink.truncate(offset)
            while offset < file.size:
                chunk = source.read(min(_CHUNK, file.size - offset))
                if not chunk:
                    raise EOFError
                sink.write(chunk)
                offset += len(chunk)
                self.line.update(f"{file.path}  {amount(offset)} of {amount(file.size)}")
            sink.flush()
            os.fsync(sink.fileno())
        if sha256(partial) != file.sha256:
            partial.unlink()
            raise ConnectionError("what came has another hash, or the file was replaced meanwhile")
        partial.replace(target)
        for stale in self._old.get(target.name, ()):
            stale.unlink(missing_ok=True)
        sync(self.directory)
        if file.path != LEDGER:
            self._taken.add(file.path)
            self.copied = len(self._taken)
        self.line.stay(f"{file.path}  {amount(file.size)}")

    def _target(self, name: str) -> Path:
        return self.directory / PurePosixPath(name).name

    def tell(self) -> None:
        """Print what has become of the results; raises Failure when some are wrong."""
        there = f"{self.present} were there"
        self.line.stay(f"Fetched {self.copied} files to {self.directory}, {there}")
        for each in self.wrong:
            self.line.stay(f"WRONG {each}")
        if self.wrong:
            raise Failure(f"{len(self.wrong)} results are missing or wrong")
        if (self.directory / "report.html").is_file():
            self.line.stay(f"Report: {self.directory / 'report.html'}")


def _results(source: IO[bytes]) -> list[SharedFile]:
    """Return what the share has.

    Raises:
        Failure: nothing, or the list makes no sense.
        EOFError: the list broke off.
    """
    try:
        files = read_list(source, OUTPUT)
    except UsageError as error:
        raise Failure(f"unexpected list of the share: {error}") from error
    except Interrupted as error:
        raise EOFError from error
    if not files:
        raise Failure("the share has no results yet: scripts/status.sh shows the progress")
    return files


def _proven(ledger: Path) -> dict[str, str]:
    """Return the hash of each checkpoint that a ledger proves, by path."""
    try:
        lines = [json.loads(each) for each in ledger.read_text("utf-8").splitlines()]
        return {f"{OUTPUT}/{each['checkpoint_file']}": each["checkpoint"] for each in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{ledger}: not a ledger; scripts/workload.sh queue rebuild") from error


def _refusal(
    name: str, there: dict[str, SharedFile], proven: dict[str, str], target: Path
) -> str | None:
    """Return why a file is not fetched; None when it may be."""
    if name not in there:
        return f"{name}: the ledger names it, and it is not on the share"
    if name not in proven:
        return None
    if there[name].sha256 != proven[name]:
        return f"{name}: its hash is not the ledger's; not fetched"
    if target.exists() and sha256(target) != proven[name]:
        return f"{target}: has another content; fetch into another directory"
    return None


def _is_here(file: SharedFile, target: Path) -> bool:
    return target.is_file() and sha256(target) == file.sha256


def _is_checkpoint(name: str) -> bool:
    return PurePosixPath(name).name.startswith("model_cpt_")


def _main() -> None:
    match sys.argv[1:]:
        case ["send", directory, pod]:
            send_all(Path(directory), pod)
        case ["fetch", directory, pod]:
            fetch_all(Path(directory), pod)
        case ["check", directory]:
            dataset_files(Path(directory))
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

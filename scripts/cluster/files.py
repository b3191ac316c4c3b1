"""Copies datasets to the share, through a pod: `send DIRECTORY POD`, `check DIRECTORY`.

All files go through one command in the pod; `workload/share/stream.py` says how.
"""

from __future__ import annotations

import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scripts.cluster.console import Failure, Line, amount, run, unknown_arguments
from scripts.cluster.pipes import talking
from scripts.cluster.resuming import ResumedTransfer
from workload.share.durable import sha256
from workload.share.listing import dataset_files, left_out
from workload.share.stream import (
    PRESENT,
    STORED,
    SharedFile,
    list_lines,
)
from workload.text import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18
_ANSWER = 32
"""Longest answer of a receiver, in bytes."""


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


def _main() -> None:
    match sys.argv[1:]:
        case ["send", directory, pod]:
            send_all(Path(directory), pod)
        case ["check", directory]:
            dataset_files(Path(directory))
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

"""Files sent to a share through a pipe that can be made to break."""

from __future__ import annotations

import hashlib
import io
import sys
from typing import TYPE_CHECKING

from workload.errors import WorkloadError
from workload.share.stream import SharedFile, list_lines, receive

if TYPE_CHECKING:
    from pathlib import Path

NAME = "datasets/training/2018-04-01.pkl"


def described(name: str, content: bytes) -> SharedFile:
    return SharedFile(name, len(content), hashlib.sha256(content).hexdigest())


class Pipe(io.RawIOBase):
    """A sender that promises files, sends what it is asked for, and breaks off after a byte."""

    def __init__(self, contents: dict[str, bytes], breaks_after: int = sys.maxsize) -> None:
        self._contents = contents
        self._rest = [described(*item) for item in contents.items()]
        self._left = breaks_after
        self._bytes = b"".join(list_lines(self._rest))
        self.answers: list[str] = []
        self.stream = io.BufferedReader(self)

    def answer(self, line: str) -> None:
        self.answers.append(line)
        if line.isdecimal():
            self._bytes += self._contents[self._rest.pop(0).path][int(line) :]
        elif line == "present":
            self._rest.pop(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._bytes[: min(len(buffer), self._left)]
        self._bytes = self._bytes[len(chunk) :]
        self._left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def put_all(share: Path, contents: dict[str, bytes], breaks_after: int = sys.maxsize) -> list[str]:
    """Send files until the pipe breaks; return what the receiver answered."""
    pipe = Pipe(contents, breaks_after)
    try:
        receive(share, pipe.stream, pipe.answer)
    except WorkloadError as error:
        error.add_note(" ".join(pipe.answers))
        raise
    return pipe.answers

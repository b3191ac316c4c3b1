"""`workload run` as a process of its own, watched from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Batch:
    """A running batch and the lines it has said, each with the seconds since the start."""

    process: subprocess.Popen[str]
    begin: float
    lines: list[tuple[float, str]] = field(default_factory=list)

    def listen(self) -> None:
        """Collect lines until the batch ends."""
        for line in self.process.stdout or ():
            self.lines.append((time.monotonic() - self.begin, line))

    def moments(self, word: str) -> list[float]:
        """Return the seconds from the start to each line with `word`.

        Raises:
            RuntimeError: there is no such line.
        """
        found = [seconds for seconds, line in self.lines if word in line]
        if not found:
            raise RuntimeError(f"the batch never said {word!r}: {self.lines[-1:]}")
        return found


@contextmanager
def running(share: Path, workers: int) -> Iterator[Batch]:
    """Start `workload run` on the share's datasets; it has ended when the context ends."""
    command = [sys.executable, "-m", "workload", "run"]
    command += ["--share", str(share), "--workers", str(workers)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    batch = Batch(process, time.monotonic())
    listener = threading.Thread(target=batch.listen, daemon=True)
    listener.start()
    try:
        yield batch
        if process.wait() != 0:
            raise RuntimeError(f"the batch failed: {batch.lines[-3:]}")
    finally:
        process.terminate()
        process.wait()
        listener.join()

"""Long-running programs of a test, each with its log, ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STOP_SECONDS = 20

WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")
"""Ends a program with the thread that started it, also when that is killed (util-linux)."""


class ProgramError(RuntimeError):
    """A program ended by itself; the message names its log."""


class Programs:
    """Programs that belong together, by name.

    Args:
        logs: directory of their logs; a program that starts again appends to its own.
        orphans: whether they may outlive the thread that starts them.
    """

    def __init__(self, logs: Path, *, orphans: bool = True) -> None:
        self.logs = logs
        self._prefix = () if orphans else WITH_ITS_PARENT
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start a program that nothing but `stop` is to end."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*self._prefix, *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the tests, which stop it in order
                env={**os.environ, "GOGC": "400", "GOMEMLIMIT": "1GiB", **environment},
            )

    def log(self, name: str) -> Path:
        """Return where a program's output goes."""
        return self.logs / f"{name}.log"

    def check(self) -> None:
        """Check that every program runs.

        Raises:
            ProgramError: one has ended by itself.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProgramError(
                    f"{name} ended with exit code {process.returncode}; see {self.log(name)}"
                )

    def stop(self, name: str) -> None:
        """End a program, by force when it takes longer than STOP_SECONDS; know of no other."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """End every program, the last first."""
        for name in reversed(list(self._running)):
            self.stop(name)

"""Runs a command where it can't change the machine: own mounts, network and processes.

The command and all that it starts live in namespaces of their own, which end with their first
process, `inside.py`; that one ends with this one, even when it is killed. What the kernel does
not clean up by itself, control groups and files, is left to `janitor.py`, which outlives both.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

HERE = Path(__file__).parent
PREFIX = "batch-aiml-"
SCRATCH = Path("/var/tmp")  # noqa: S108 - on a disk, unlike /tmp in places
PID_FILE = "inside.pid"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(command: list[str]) -> int:
    """Run the command inside; it finds its scratch directory in the variable REHEARSAL.

    Returns:
        Its exit code, or 128 and the signal that ended it.
    """
    with _Signals() as signals, _started(command, signals) as inside:
        return _code(inside)


def run_side_by_side(first: list[str], second: list[str], output: IO[str]) -> tuple[int, int]:
    """Run two commands, each in namespaces of its own; the second one prints to a file.

    Returns:
        The exit code of each, as of `run`.
    """
    with (
        _Signals() as signals,
        _started(first, signals) as one,
        _started(second, signals, output) as other,
    ):
        return _code(one), _code(other)


@contextmanager
def _started(
    command: list[str], signals: _Signals, output: IO[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    state = Path(tempfile.mkdtemp(prefix=PREFIX, dir=SCRATCH))
    with _janitor(state) as alive:
        inside = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc"),
                *("--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, "-B", str(HERE / "inside.py"), str(state), *command),
            ],
            pass_fds=[alive],
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is told once, by this process
        )
        try:
            first = _first_process(inside)
            if first is not None:
                (state / PID_FILE).write_text(str(first.pid))
                signals.add(first)
            yield inside
        finally:
            inside.kill()  # nothing, unless something else went wrong


def _code(inside: subprocess.Popen[bytes]) -> int:
    code = inside.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _janitor(state: Path) -> Iterator[int]:
    """Start a process that cleans up once every holder of the given file descriptor has ended."""
    with subprocess.Popen(
        [sys.executable, "-B", str(HERE / "janitor.py"), str(state)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as janitor:
        assert janitor.stdin is not None
        yield janitor.stdin.fileno()
        janitor.stdin.close()
        if janitor.wait():
            raise RuntimeError(f"could not clean up after the rehearsal; see {state}")


def _first_process(inside: subprocess.Popen[bytes]) -> psutil.Process | None:
    """Return the first process of the namespaces, None when they have ended before."""
    while inside.poll() is None:
        try:
            children = psutil.Process(inside.pid).children()
        except psutil.NoSuchProcess:
            return None
        if children:
            return children[0]
    return None


class _Signals:
    """Passes the signals that ask for an end on, instead of ending at once."""

    def __init__(self) -> None:
        self._to: list[psutil.Process] = []
        self._asked = False

    def add(self, process: psutil.Process) -> None:
        """Have signals passed on to the process, which is killed when one came before."""
        self._to.append(process)
        if self._asked:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._pass_on) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        for process in self._to:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

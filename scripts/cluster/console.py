"""One line per error, progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from workload.errors import ExitCode, UsageError, WorkloadError
from workload.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Failure(Exception):
    """Something the operator must know: one line, and the exit code of the script."""

    def __init__(self, message: str, code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def run(main: Callable[[], int | None]) -> None:
    """Run a script's part; errors become one line, a Ctrl-C ends in silence."""
    try:
        sys.exit(main() or 0)
    except Failure as failure:
        message, code = str(failure), failure.code
    except WorkloadError as error:
        message, code = str(error), int(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message, code = f"{where}{(error.strerror or str(error)).lower()}", ExitCode.FAILED
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    script = os.environ.get("BATCH_SCRIPT", "scripts")
    print(printable(f"{script}: {' '.join(message.split())}"), file=sys.stderr)  # noqa: T201
    sys.exit(code)


def pause(seconds: float) -> None:
    """Sleep; BATCH_PAUSE makes all pauses longer or shorter by a factor."""
    time.sleep(seconds * float(os.environ.get("BATCH_PAUSE", "1")))


def unknown_arguments(words: Sequence[str]) -> UsageError:
    """Return the error of a module that was started with other arguments than it takes."""
    return UsageError(f"unknown arguments: {' '.join(words) or '(none)'}")


class Line:
    """A line that is written over on a terminal; elsewhere only what stays is printed."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._shown = False

    def update(self, text: str) -> None:
        """Show what will change soon."""
        if self.live:
            print(f"\r\x1b[K{printable(text)}", end="", flush=True)  # noqa: T201
            self._shown = True

    def stay(self, text: str) -> None:
        """Show a line that stays."""
        if self._shown:
            print("\r\x1b[K", end="")  # noqa: T201
            self._shown = False
        print(printable(text), flush=True)  # noqa: T201


def amount(size: int) -> str:
    """Format a number of bytes for people, in thousands or millions."""
    return f"{size / 1e6:,.1f} MB" if size >= 10**6 else f"{size / 1e3:,.1f} kB"

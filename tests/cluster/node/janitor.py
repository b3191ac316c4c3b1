"""Waits for the end of a rehearsal, however it ends, and removes its control groups and files.

Usage: janitor.py DIRECTORY, with a pipe as standard input that closes when the rehearsal ends.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

from node import cgroups


def main(state: Path) -> int:
    """Clean up when the time has come; exit code 1 when something can't be removed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    try:
        cgroups.remove(state.name)
        shutil.rmtree(state)
    except OSError as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

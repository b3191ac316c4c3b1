"""Starting this package's own modules as processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line of `python -m module`, never importing from the current directory."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """Return this process's environment; the package is found in it wherever it runs from."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [root, *(entry for entry in known if entry and entry != root)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def cause_of_death(code: int) -> str:
    """Say what an exit code of `subprocess` means, for one line."""
    if code >= 0:
        return f"exit code {code}"
    names = {each.value: each.name for each in signal.Signals}  # of real-time ones, only two
    return f"killed by {names.get(-code, f'signal {-code}')}"

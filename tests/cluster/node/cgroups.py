"""The control groups of one rehearsal, under a name of its own in every hierarchy."""

from __future__ import annotations

import os
import time
from pathlib import Path

REMOVE_SECONDS = 30


def create(name: str) -> None:
    """Make the group in every hierarchy; the kubelet makes its own below."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)


def remove(name: str) -> None:
    """Remove the group and all below, as soon as its last processes have ended.

    Raises:
        TimeoutError: a process did not end.
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    while left := [group for group in groups(name) if not _removed(group)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"control groups in use: {', '.join(map(str, left))}")
        time.sleep(0.05)


def groups(name: str) -> list[Path]:
    """Return every control group under the name, the innermost first."""
    return [
        Path(directory)
        for hierarchy in _hierarchies()
        for directory, _, _ in os.walk(hierarchy / name, topdown=False)
    ]


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # busy: a process is still ending
        return False
    return True


def _hierarchies() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(where) for _, where, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]

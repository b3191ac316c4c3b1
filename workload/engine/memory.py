"""Whether a dataset fits into the memory of its worker, before the kernel kills it for that.

The estimate errs low, and the room high, since a false alarm stops a chain: a day that is let
through may still be killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from workload.errors import DatasetTooLarge

_MIB = 1 << 20
_LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of cgroup v2 and v1; "max", or a number beyond any memory, when there is none."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory in bytes.

    Attributes:
        limit: what the process and its control group may have; swap counts as memory.
        used: what the process used before its first dataset.
    """

    limit: int
    used: int

    @classmethod
    def of_process(
        cls, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
    ) -> Room | None:
        """Return the smallest limit along the path of the control group, or else the machine's.

        None when the system does not tell, as on macOS.
        """
        try:
            machine = _kilobytes(proc / "meminfo")
            used = _kilobytes(proc / "self/status").get("RssAnon", 0)
            limits = [machine["MemTotal"], *_group_limits(proc / "self/cgroup", groups)]
        except (OSError, ValueError, KeyError):
            return None
        return cls(min(limits) + machine.get("SwapTotal", 0), used)


@cache
def own_room() -> Room | None:
    """Return the room of this process as it was before its first dataset."""
    return Room.of_process()


def require(name: str, size: int, room: Room | None = None) -> None:
    """Raise DatasetTooLarge when a dataset does not fit.

    Args:
        name: of its file.
        size: bytes that it needs at least.
        room: to be found in; None for this process's own.
    """
    room = room or own_room()
    if room and room.used + size > room.limit:
        raise DatasetTooLarge(
            f"{name} needs at least {(room.used + size) // _MIB} MiB of memory, the worker has "
            f"{room.limit // _MIB} MiB; raise `worker_memory` of the stack (on one machine: use a "
            "larger one), then `workload queue retry`, or split the day"
        )


def _kilobytes(path: Path) -> dict[str, int]:
    """Return the lines of a file of /proc that are in kB, in bytes."""
    lines = [line.split() for line in path.read_text("ascii", "replace").splitlines()]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[2:3] == ["kB"]}


def _group_limits(membership: Path, groups: Path) -> list[int]:
    """Return all limits from a process's control group up to the root that is mounted here."""
    found = []
    try:
        lines = membership.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount = groups / controllers
        below = PurePosixPath(group.lstrip("/"))
        if ".." in below.parts:  # outside of the namespace
            below = PurePosixPath()
        for folder in (below, *below.parents):
            for name in _LIMITS:
                try:
                    text = (mount / folder / name).read_text("ascii").strip()
                except OSError:
                    continue
                if text.isdigit():
                    found.append(int(text))
    return found

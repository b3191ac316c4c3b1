"""Peak memory of the processes of a local run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.batch import running
from benchmarks.days import simulated
from benchmarks.results import Section, Table, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = {
    "workload.engine.renewer": "renewer",
    "workload work": "worker",
    "workload run": "supervisor",
    "-server": "Redis",
}
"""Words of a command line, and whose it is."""

TARGET_MIB = 300.0
MIB = 2.0**20
_PAUSE_SECONDS = 0.02


def measure(*, quick: bool) -> Section:
    """Sample a run with one worker until it ends."""
    days = 6 if quick else 30
    peaks: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        share = Path(name)
        simulated(share / "datasets", days, "pkl")
        with running(share, workers=1) as batch:
            while batch.process.poll() is None:
                for role, sample in _samples(batch.process.pid):
                    peak = peaks.setdefault(role, {})
                    for kind, value in sample.items():
                        peak[kind] = max(peak.get(kind, 0.0), value)
                time.sleep(_PAUSE_SECONDS)
    kinds = {"peak": "high-water mark", "rss": "sampled RSS", "pss": "sampled PSS"}
    rows = [
        [
            role,
            *(f"{peaks[role][kind] / MIB:.0f}" if kind in peaks[role] else "-" for kind in kinds),
        ]
        for role in ROLES.values()
        if role in peaks
    ]
    worker = peaks["worker"]
    return Section(
        "Memory",
        f"`workload run` with one worker on {days} simulated days (pickles) and a testing day; the "
        "largest value of each process in MiB. The high-water mark is the kernel's own; RSS and "
        f"PSS are sampled about every {_PAUSE_SECONDS * 1e3:.0f} ms, PSS shares pages among those "
        "who map them.",
        [Table("Peak memory, MiB", ["process", *kinds.values()], rows)],
        [
            verdict(
                "MiB of a worker",
                worker.get("peak", worker["rss"]) / MIB,
                TARGET_MIB,
                most=True,
            )
        ],
    )


def _samples(pid: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the memory of a process and all its descendants, by role, in bytes."""
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            command = " ".join(process.cmdline())
            role = next((role for words, role in ROLES.items() if words in command), None)
            if role is None or "workload.local.run_with_parent" in command:
                continue
            usage = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        sample = {"rss": float(usage.rss)}
        if hasattr(usage, "pss"):  # Linux only
            sample["pss"] = float(usage.pss)
        if (mark := _high_water_mark(process.pid)) is not None:
            sample["peak"] = mark
        yield role, sample


def _mib(size: float | None) -> str:
    return "n/a" if size is None else f"{size / MIB:.0f}"


def _high_water_mark(pid: int) -> float | None:
    """Return the largest RSS so far in bytes; None if the kernel does not tell it of others."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    marks = [float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return marks[0] if marks else None

"""How long it takes from `pulumi up` to the report, step by step, as a benchmark's section."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from stack_under_test import ROOT

from benchmarks.machine import describe
from benchmarks.results import REHEARSED, Section, Table, store
from workload.engine.numeric import BASELINE

if TYPE_CHECKING:
    from pathlib import Path

    from journeys.rehearsed import Run

VARIABLE = "REHEARSAL_WRITE"
"""Set to 1, the section goes into `benchmarks/results.md`."""


def section(run: Run, share: Path) -> Section:
    """Describe the first run of a stack, step by step.

    Args:
        run: of a Job that waited for its first dataset.
        share: where its checkpoints are, whose times say when what was learned.
    """
    times = sorted(path.stat().st_mtime for path in (share / "output").glob("model_cpt_*.pkl"))
    files = [path for path in (share / "datasets").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    queued = run.began["scripts/queue-jobs.sh"]
    ended = run.began["the Job ends"] + run.seconds["the Job ends"]
    seconds = {
        "`pulumi up`": run.seconds["pulumi up"],
        f"`transfer-datasets.sh`, {len(files)} files, {size:.1f} MB": run.seconds[
            "scripts/transfer-datasets.sh"
        ],
        "`queue-jobs.sh`, until the first dataset is learned": times[0] - queued,
        f"until {len(times)} datasets are learned": times[-1] - times[0],
        "until the report is written and the Job has ended": ended - times[-1],
        "`fetch-results.sh`: report and checkpoints": run.seconds["scripts/fetch-results.sh"],
    }
    total, rows = 0.0, []
    for step, took in seconds.items():
        total += took
        rows.append((step, f"{took:.1f}", f"{total:.1f}"))
    return Section(
        "From nothing to a report",
        "The dev stack on a rehearsal's node, once, by `make rehearse REHEARSAL_WRITE=1`: the real "
        "Pulumi engine and Kubernetes, and a fake of Google's API, which takes no time for what a "
        "cloud needs minutes. One worker with 1 CPU, commands in pods with 250m; the images are on "
        "the node already.",
        [Table("Seconds", ("step", "takes", "so far"), rows)],
        [],
    )


def keep(measured: Section) -> None:
    """Store the section when `REHEARSAL_WRITE` says so."""
    if os.environ.get(VARIABLE) == "1":
        machine = replace(describe(), arithmetic=BASELINE)  # the image pins it
        store(ROOT / "benchmarks", REHEARSED, measured, machine, quick=False)

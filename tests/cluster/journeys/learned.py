"""Datasets of the journeys, and what this machine learns from them without a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

TUTORIAL = "WORKLOAD_TUTORIAL_DATASETS"
"""Variable with the directory of the tutorial's own datasets."""

SIMULATED_FROM = "2019-01-01"
"""After the tutorial's days, so that both make one chain."""


@dataclass
class Datasets:
    """Days of data, and a local run on all of them that goes on beside the tests.

    Attributes:
        directory: the datasets in the tutorial's layout.
        tutorial: how many of the days, the first ones, are the tutorial's.
    """

    directory: Path
    tutorial: int
    _run: subprocess.Popen[bytes]
    _scratch: Path

    @classmethod
    def start(cls, scratch: Path, simulated: int) -> Datasets:
        """Take the tutorial's days, if there are any, and simulated ones; start to learn them."""
        directory = scratch / "all"
        simulate = _workload(
            scratch / "simulate.log",
            *("simulate", "--out", str(directory), "--days", str(simulated)),
            *("--start", SIMULATED_FROM, "--format", "parquet"),
        )
        assert simulate.wait() == 0
        tutorial = _add_tutorial(directory) if TUTORIAL in os.environ else 0
        run = _workload(
            scratch / "run.log",
            *("run", "--share", str(scratch / "share"), "--datasets", str(directory)),
            *("--workers", "1"),
        )
        return cls(directory, tutorial, run, scratch)

    def first(self, days: int, where: Path) -> Path:
        """Return a directory with the first days, and the testing day, as links."""
        for part, names in (("training", self.names()[:days]), ("testing", self.names("testing"))):
            (where / part).mkdir(parents=True)
            for name in names:
                os.link(self.directory / part / name, where / part / name)
        return where

    def names(self, part: str = "training") -> list[str]:
        """Return file names of the training days, in order, or of the testing day."""
        return sorted(path.name for path in (self.directory / part).iterdir())

    def learned(self, days: int) -> dict[str, str]:
        """Return checkpoint to SHA-256, of a quiet local run, after so many days.

        The chain is one: a run on all days starts with the checkpoints of a run on the first.
        """
        assert self._run.wait() == 0, (self._scratch / "run.log").read_text()
        every = hashes(self._scratch / "share" / "output")
        return {name: every[name] for name in sorted(every)[:days]}

    def stop(self) -> None:
        """End the local run."""
        self._run.terminate()
        self._run.wait()


def ledger(output: Path) -> list[dict[str, Any]]:
    """Return the ledger in an output directory, a line a dataset."""
    return [json.loads(line) for line in (output / "ledger.jsonl").read_text().splitlines()]


def hashes(output: Path) -> dict[str, str]:
    """Return the file name of each checkpoint to the SHA-256 of its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.glob("model_cpt_*.pkl"))
    }


def checkpoints(names: Sequence[str]) -> list[str]:
    """Return the file names of the checkpoints of datasets."""
    return [f"model_cpt_{name.partition('.')[0]}.pkl" for name in names]


def _add_tutorial(directory: Path) -> int:
    tutorial = Path(os.environ[TUTORIAL])
    for path in (directory / "testing").iterdir():
        path.unlink()
    days = 0
    for part in ("training", "testing"):
        for path in (tutorial / part).iterdir():
            (directory / part / path.name).write_bytes(path.read_bytes())
            days += part == "training"
    return days


def _workload(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "workload", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

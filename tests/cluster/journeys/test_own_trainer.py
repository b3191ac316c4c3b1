"""A trainer that knows nothing of frauds, as docs/own-trainer.md has it: in the image, by a key."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from journeys.learned import hashes, ledger
from journeys.local import local_stack, on_node
from node.images import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.kubernetes_node import Node

TRAINER = f"workload.trainers.{EXAMPLE.stem}:EnergyLoad"
DAYS = 9
"""More than a week, so that there is something to forecast from."""


@dataclass(frozen=True)
class Learned:
    """Where the results are that `train.sh` fetched, and this machine's."""

    fetched: Path
    here: Path


@pytest.fixture(scope="module")
def learned(
    node: Node,
    state: Path,
    tools: Path,
    python: Sequence[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Learned:
    """Make the whole journey, to the stack's end, and run `workload run` on the same days."""
    scratch = tmp_path_factory.mktemp("own-trainer")
    data, fetched, here, directory = (
        scratch / name for name in ("data", "fetched", "here", "stack")
    )
    _python(str(EXAMPLE), str(data), str(DAYS))
    run = ("-m", "workload", "run", "--share", str(here), "--datasets", str(data))
    _python(*run, "--trainer", f"examples.{EXAMPLE.stem}:EnergyLoad")
    cluster = on_node(node, node.images.own_trainer, state / "own-trainer-share")
    directory.mkdir()
    with local_stack(cluster, directory, tools, python, workers=2) as stack:
        stack.configure({"trainer": TRAINER})
        words = ("--yes", "--destroy", "--results", str(fetched), str(data))
        stack.script("train.sh", *words).ok()
    return Learned(fetched, here / "output")


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, cwd=EXAMPLE.parents[1])


def test_the_cluster_learns_what_a_laptop_learns(learned: Learned) -> None:
    assert len(ledger(learned.fetched)) == DAYS
    assert hashes(learned.fetched) == hashes(learned.here)


def test_the_results_are_the_trainers_own(learned: Learned) -> None:
    assert "mean_absolute_error" in (learned.fetched / "report.txt").read_text()
    assert "energy-load" in (learned.fetched / "report.html").read_text()

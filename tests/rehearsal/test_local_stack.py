"""The stack for a cluster that exists, with three workers: the whole journey by ``train.sh``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from learned import hashes
from rehearsed import NAMESPACE, WORKER_USER, WORKERS, Rehearsal
from stack import StackUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from google_api.server import FakeGoogle
    from learned import Datasets
    from node import Node
    from stack import Result

WORKERS_SIDE_BY_SIDE = 3
SIMULATED = (3, 5)
"""Simulated days of the first run, and of both; the tutorial's come before."""

BINDING_SECONDS = 10
"""How long ``pulumi up`` waits for a claim that will never be bound."""


@dataclass
class Journey:
    """What the commands gave, each in both runs, and what was fetched."""

    train: list[Result] = field(default_factory=list)
    fetched: list[dict[str, str]] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    unchanged: Result | None = None


@pytest.fixture(scope="module")
def local(
    node: Node,
    google: FakeGoogle,
    tools: Path,
    state: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tell: Callable[[str], None],
) -> Rehearsal:
    """The local stack with small workers and a directory of the node; nothing is created yet."""
    share = state / "local-share"
    share.mkdir()
    os.chown(share, WORKER_USER, WORKER_USER)
    stack = StackUnderTest(tmp_path_factory.mktemp("local"), tools, google, node.api, "local")
    settings = {
        "image": node.images.workload.reference,
        "redis_image": node.images.redis.reference,
        "share_host_path": share,
        "parallelism": WORKERS_SIDE_BY_SIDE,
        "worker_cpu": "250m",
        "worker_memory": "1Gi",
    }
    stack.configure(settings)
    local = Rehearsal(node, stack, share)
    tell("\n  ".join(["What is set on top of Pulumi.local.yaml:", *local.changed_settings()]))
    return local


@pytest.fixture(scope="module")
def journey(
    local: Rehearsal, datasets: Datasets, tmp_path_factory: pytest.TempPathFactory
) -> Journey:
    """``train.sh`` on some days, then, as another run, on some more."""
    journey, results = Journey(), tmp_path_factory.mktemp("local-results")
    for days, arguments in zip(SIMULATED, ([], ["--run", "2"]), strict=True):
        directory = tmp_path_factory.mktemp("local-days") / "datasets"
        datasets.first(datasets.tutorial + days, directory)
        words = ["--yes", "--results", str(results), *arguments, str(directory)]
        journey.train.append(local.stack.script("train.sh", *words).ok())
        journey.fetched.append(hashes(results))
        journey.workers.append(len(local.pods.all(WORKERS)))
    journey.unchanged = local.stack.up("--refresh", "--expect-no-changes")
    return journey


@pytest.fixture(scope="module")
def unbound(local: Rehearsal, journey: Journey) -> Result:
    """``pulumi up`` with a share of a class that the cluster does not have."""
    local.stack.configure({"share_storage_class": "missing"})
    local.stack.environment["ENGINE_AWAIT_SECONDS"] = str(BINDING_SECONDS)
    up = local.stack.up("--skip-preview")
    del local.stack.environment["ENGINE_AWAIT_SECONDS"]
    return up


@pytest.fixture(scope="module")
def destroyed(local: Rehearsal, unbound: Result) -> Rehearsal:
    """The stack after ``pulumi destroy``, which came after an update that had failed."""
    local.stack.run("destroy", "--yes", "--skip-preview").ok()
    return local


@pytest.mark.parametrize("run", [0, 1])
def test_three_workers_learn_what_one_learns_on_a_laptop(
    journey: Journey, datasets: Datasets, run: int
) -> None:
    assert journey.fetched[run] == datasets.learned(datasets.tutorial + SIMULATED[run])
    assert journey.workers[run] == WORKERS_SIDE_BY_SIDE


def test_train_shows_price_progress_and_report(journey: Journey) -> None:
    printed = journey.train[0].output
    for words in ("no cloud resources", "datasets learned", "is complete", "Report: "):
        assert words in printed


def test_nothing_differs_after_the_training(journey: Journey) -> None:
    assert journey.unchanged is not None
    assert journey.unchanged.code == 0, journey.unchanged.output


def test_an_update_whose_claim_can_not_be_bound_fails_and_names_it(unbound: Result) -> None:
    assert unbound.code != 0
    assert "share-volume-claim" in unbound.failed, unbound.output


def test_destroy_leaves_the_data_and_nothing_else(destroyed: Rehearsal, datasets: Datasets) -> None:
    assert NAMESPACE not in destroyed.node.names("namespaces")
    for kind in ("persistentvolumes", "persistentvolumeclaims", "pods"):
        assert destroyed.node.names(kind) == [], kind
    assert destroyed.trained() == datasets.tutorial + SIMULATED[1]

"""The stack for a cluster that exists, with three workers: the whole journey by `train.sh`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import existing
import pytest
from journeys.learned import hashes
from journeys.local import local_stack, on_node
from journeys.rehearsed import WORKERS, changed_settings
from node.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from existing import Cluster
    from journeys.learned import Datasets
    from node.kubernetes_node import Node
    from stack_under_test import Result, StackUnderTest

WORKERS_SIDE_BY_SIDE = 3
SIMULATED = (3, 5)
"""Simulated days of the first run, and of both; the tutorial's come before."""

BINDING_SECONDS = 10
"""How long `pulumi up` waits for a claim that will never be bound."""


@dataclass
class Journey:
    """What the commands gave, each in both runs, and what was fetched."""

    train: list[Result] = field(default_factory=list)
    fetched: list[dict[str, str]] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    unchanged: Result | None = None


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return the cluster that `CLUSTER` names, or else the run's own node."""
    if found := existing.chosen():
        return found
    node: Node = request.getfixturevalue("node")
    return on_node(node, node.images.workload, request.getfixturevalue("state") / "local-share")


@pytest.fixture(scope="module")
def stack(
    cluster: Cluster,
    tools: Path,
    python: Sequence[str],
    tmp_path_factory: pytest.TempPathFactory,
    tell: Callable[[str], None],
) -> Iterator[StackUnderTest]:
    """Yield the local stack with small workers; nothing is created yet."""
    directory = tmp_path_factory.mktemp("local")
    with local_stack(cluster, directory, tools, python, WORKERS_SIDE_BY_SIDE) as stack:
        tell("\n  ".join(["What is set on top of Pulumi.local.yaml:", *changed_settings(stack)]))
        yield stack


@pytest.fixture(scope="module")
def journey(
    stack: StackUnderTest,
    cluster: Cluster,
    datasets: Datasets,
    tmp_path_factory: pytest.TempPathFactory,
) -> Journey:
    """Run `train.sh` on some days, then, as another run, on some more."""
    journey, results = Journey(), tmp_path_factory.mktemp("local-results")
    for days, arguments in zip(SIMULATED, ([], ["--run", "2"]), strict=True):
        directory = tmp_path_factory.mktemp("local-days") / "datasets"
        datasets.first(datasets.tutorial + days, directory)
        words = ["--yes", "--results", str(results), *arguments, str(directory)]
        journey.train.append(stack.script("train.sh", *words).ok())
        journey.fetched.append(hashes(results))
        journey.workers.append(len(cluster.pods(WORKERS)))
    journey.unchanged = stack.up("--refresh", "--expect-no-changes")
    return journey


@pytest.fixture(scope="module")
def unbound(stack: StackUnderTest, journey: Journey) -> Result:
    """Run `pulumi up` with a share of a class that the cluster does not have."""
    stack.configure({"share_storage_class": "missing"})
    stack.environment["ENGINE_AWAIT_SECONDS"] = str(BINDING_SECONDS)
    up = stack.up("--skip-preview")
    del stack.environment["ENGINE_AWAIT_SECONDS"]
    return up


@pytest.fixture(scope="module")
def destroyed(stack: StackUnderTest, cluster: Cluster, unbound: Result) -> Cluster:
    """Return the cluster after `pulumi destroy`, which came after an update that had failed."""
    stack.run("destroy", "--yes", "--skip-preview").ok()
    return cluster


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


def test_destroy_leaves_nothing_of_the_stack(destroyed: Cluster) -> None:
    until("nothing is left", lambda: not destroyed.left(), story=destroyed.left)


def test_destroy_leaves_the_data(destroyed: Cluster, datasets: Datasets) -> None:
    if not destroyed.host_path:
        pytest.skip("the share's volume is of a class, which decides what becomes of the data")
    assert destroyed.look()["checkpoints"] == datasets.tutorial + SIMULATED[1]

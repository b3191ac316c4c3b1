"""Whatever happens to pods, Redis and the node while it trains: nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from learned import checkpoints, hashes, ledger
from rehearsed import REDIS, WORKERS, Run
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from learned import Datasets
    from rehearsed import Rehearsal

STEP = 12
"""How many days are learned between two blows."""

SPOT_GRACE = 15
"""Seconds between the notice and the end of a Spot machine, in practice."""

WORKER_USER = 10001


def evict_a_worker(dev: Rehearsal) -> None:
    dev.pods.evict(dev.until_worker())


def delete_all_workers(dev: Rehearsal) -> None:
    dev.until_worker()
    for name in dev.running(WORKERS):
        dev.pods.delete(name, SPOT_GRACE)


def kill_a_worker(dev: Rehearsal) -> None:
    dev.pods.kill(dev.until_worker())


def delete_redis(dev: Rehearsal) -> None:
    dev.pods.delete(_redis(dev))


def kill_redis(dev: Rehearsal) -> None:
    dev.pods.kill(_redis(dev))


def restart_the_kubelet(dev: Rehearsal) -> None:
    dev.node.stop_kubelet()
    dev.node.start_kubelet()
    dev.node.until_ready()


def lose_the_node(dev: Rehearsal) -> None:
    """Until the cluster gives its workers up; then it comes back."""
    workers = dev.running(WORKERS)
    dev.node.lose()
    dev.node.until_lost()
    until("its workers are given up", lambda: not set(workers) & set(dev.running(WORKERS)))
    dev.node.start_kubelet()
    dev.node.until_ready()


BLOWS: tuple[Callable[[Rehearsal], None], ...] = (
    evict_a_worker,
    delete_redis,
    delete_all_workers,
    kill_a_worker,
    evict_a_worker,
    restart_the_kubelet,
    kill_redis,
    delete_all_workers,
    kill_a_worker,
    lose_the_node,
    evict_a_worker,
)
"""The kills come late and are few: after each failed pod the Job waits twice as long as before."""


@dataclass
class Storm:
    """A run of the Job with two workers that was not left in peace.

    Attributes:
        run: what its commands gave.
        struck: how many days were learned at each blow.
        pods: names of all workers that were seen.
        queue: the queue's state after the Job's end.
    """

    run: Run = field(default_factory=Run)
    struck: list[int] = field(default_factory=list)
    pods: set[str] = field(default_factory=set)
    queue: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def storm(dev: Rehearsal, datasets: Datasets, tell: Callable[[str], None]) -> Storm:
    """All days that are not learned yet, and a blow after every few."""
    storm = Storm()
    _put_on_the_share(dev, datasets)
    dev.stack.script("queue-jobs.sh").ok()
    settings = {"parallelism": 2, "worker_cpu": "750m", "worker_memory": "1Gi"}
    before = dev.trained()
    dev.bring_up(storm.run, run="storm", **settings)
    with storm.run.timed("from there to the end of the Job"):
        for number, blow in enumerate(BLOWS):
            goal = before + 1 + number * STEP
            until(f"{goal} days", lambda g=goal: _learned(dev, storm) >= g, 180, dev.story)  # type: ignore[misc]
            storm.struck.append(dev.trained())
            blow(dev)
            tell(f"{storm.struck[-1]:4} days learned: {blow.__name__.replace('_', ' ')}")
        storm.run.ended = dev.until_job_ends()
    tell("\n".join(f"{seconds:6.1f} s  {what}" for what, seconds in storm.run.seconds.items()))
    status = dev.stack.script("workload.sh", "queue", "status", "--json").ok().output
    storm.queue = json.loads(status[status.index("{") :])
    return storm


def test_the_job_completes(storm: Storm) -> None:
    assert storm.run.ended == "Complete"


def test_every_blow_struck_while_it_trained(storm: Storm, datasets: Datasets) -> None:
    assert len(storm.struck) == len(BLOWS)
    assert storm.struck[-1] < len(datasets.names())
    workers_lost = [blow for blow in BLOWS if "worker" in blow.__name__]
    assert len(storm.pods) >= 2 + len(workers_lost)


def test_the_checkpoints_are_those_of_a_quiet_run_on_one_machine(
    dev: Rehearsal, storm: Storm, datasets: Datasets
) -> None:
    names = datasets.names()
    expected = datasets.learned(len(names))
    assert sorted(expected) == checkpoints(names)
    assert hashes(dev.share / "output") == expected


def test_every_dataset_is_committed_once_and_in_order(
    dev: Rehearsal, storm: Storm, datasets: Datasets
) -> None:
    lines = ledger(dev.share / "output")
    names = [f"datasets/training/{name}" for name in datasets.names()]
    assert [line["dataset"] for line in lines] == names
    assert [line["order"] for line in lines] == list(range(1, len(names) + 1))
    assert storm.queue["committed"] == len(names)
    assert (storm.queue["waiting"], storm.queue["processing"], storm.queue["dead"]) == (0, [], [])


def _learned(dev: Rehearsal, storm: Storm) -> int:
    """How many days are learned; notes on the way which workers there are."""
    storm.pods |= {pod["metadata"]["name"] for pod in dev.pods.all(WORKERS)}
    return dev.trained()


def _put_on_the_share(dev: Rehearsal, datasets: Datasets) -> None:
    """Copies the datasets as whoever mounts the share elsewhere may do."""
    for part in ("training", "testing"):
        target = dev.share / "datasets" / part
        target.mkdir(parents=True, exist_ok=True)
        for path in (datasets.directory / part).iterdir():
            if not (target / path.name).exists():
                shutil.copy(path, target)
                os.chown(target / path.name, WORKER_USER, WORKER_USER)


def _redis(dev: Rehearsal) -> str:
    [name] = until("Redis runs", lambda: dev.running(REDIS))
    return name

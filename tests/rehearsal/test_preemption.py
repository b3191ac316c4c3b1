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

PORTION = 12
"""How many days are learned between two blows at most: no more of them are on the share by then.

All are queued from the start, and a worker that comes to one that is not there waits for it, as for
any file that NFS shows late. So every blow strikes while there is work, however fast the machine.
"""

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
    """All days that are not learned yet, a portion at a time, and a blow at each."""
    storm = Storm()
    before = dev.trained()
    left = [f"training/{name}" for name in datasets.names()[before:]]
    _put_on_the_share(dev, datasets, [f"testing/{name}" for name in datasets.names("testing")])
    queued = [f"datasets/{name}" for name in left]
    dev.stack.script("workload.sh", "queue", "push", *queued).ok()
    settings = {"parallelism": 2, "worker_cpu": "750m", "worker_memory": "1Gi"}
    dev.bring_up(storm.run, run="storm", **settings)
    with storm.run.timed("from there to the end of the Job"):
        for number, blow in enumerate(BLOWS):
            _put_on_the_share(dev, datasets, left[: PORTION * (number + 1)])
            dev.until_trained(before + PORTION * number + 1)
            storm.struck.append(dev.trained())
            storm.pods |= _workers(dev)
            blow(dev)
            tell(f"{storm.struck[-1]:4} days learned: {blow.__name__.replace('_', ' ')}")
        _put_on_the_share(dev, datasets, left)
        storm.run.ended = dev.until_job_ends()
    storm.pods |= _workers(dev)
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


def _workers(dev: Rehearsal) -> set[str]:
    """Names of the workers that there are, ended ones too."""
    return {pod["metadata"]["name"] for pod in dev.pods.all(WORKERS)}


def _put_on_the_share(dev: Rehearsal, datasets: Datasets, names: list[str]) -> None:
    """Makes datasets appear, each at once, as whoever mounts the share elsewhere may do."""
    for name in names:
        path = dev.share / "datasets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            arriving = path.with_name(f".{path.name}")
            shutil.copy(datasets.directory / name, arriving)
            os.chown(arriving, WORKER_USER, WORKER_USER)
            arriving.rename(path)


def _redis(dev: Rehearsal) -> str:
    [name] = until("Redis runs", lambda: dev.running(REDIS))
    return name

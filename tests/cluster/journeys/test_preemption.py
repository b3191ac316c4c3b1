"""Whatever happens to pods, Redis and the node while it trains: nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from existing import WORKER_USER
from journeys.learned import checkpoints, hashes, ledger
from journeys.rehearsed import REDIS, WORKERS, Run
from node.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from journeys.learned import Datasets
    from journeys.rehearsed import Rehearsal

PORTION = 5
"""How many days are learned between two blows at most: no more of them are on the share by then.

All are queued from the start, and a worker that comes to one that is not there waits for it, as for
any file that NFS shows late. So every blow strikes while there is work, however fast the machine.
"""

WORKER_MEMORY = "768Mi"

SPOT_GRACE = 15
"""Seconds between the notice and the end of a Spot machine, in practice."""


def evict_a_worker(dev: Rehearsal) -> None:
    dev.pods.evict(_one_of_several(dev))


def delete_a_worker(dev: Rehearsal) -> None:
    dev.pods.delete(_one_of_several(dev), SPOT_GRACE)


def kill_a_worker(dev: Rehearsal) -> None:
    dev.pods.kill(_one_of_several(dev))


def delete_redis(dev: Rehearsal) -> None:
    dev.pods.delete(_redis(dev))


def kill_redis(dev: Rehearsal) -> None:
    dev.pods.kill(_redis(dev))


def restart_the_kubelet(dev: Rehearsal) -> None:
    dev.node.stop_kubelet()
    dev.node.start_kubelet()
    dev.node.until_ready()


def lose_the_node(dev: Rehearsal) -> None:
    """Wait until the cluster knows; it does not evict the pods of the only node it has."""
    with dev.node.lost():
        dev.node.until_lost()
    dev.node.until_ready()


@dataclass(frozen=True)
class Plan:
    """A run of the Job, and what will happen to it.

    Attributes:
        blows: in order.
        lost: how many workers that costs.
        worker_cpu: so little that all of them fit on the node.
    """

    parallelism: int
    worker_cpu: str
    blows: tuple[Callable[[Rehearsal], None], ...]
    lost: int


PLANS = (
    Plan(
        5,
        "250m",
        (
            evict_a_worker,
            delete_a_worker,
            evict_a_worker,
            delete_redis,
            kill_a_worker,
            restart_the_kubelet,
            kill_redis,
        ),
        lost=4,
    ),
    Plan(1, "750m", (lose_the_node,), lost=1),
)
"""Two runs, since Kubernetes waits 10 seconds before it replaces the first pod that a Job has lost,
preempted or not, and twice as long for each one more, until a pod of the Job has succeeded. The
first has so many that no blow waits for that; the second shows that the Job goes on after it."""


@dataclass
class Storm:
    """What a plan gave.

    Attributes:
        ended: how the Job ended.
        struck: how many days were learned at each blow.
        days: how many there were to learn, with those of earlier runs.
        pods: names of all workers that were seen.
    """

    ended: str = ""
    struck: list[int] = field(default_factory=list)
    days: int = 0
    pods: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def storms(dev: Rehearsal, datasets: Datasets, tell: Callable[[str], None]) -> list[Storm]:
    """Carry the plans out: the first on as many days as it has blows, the last on all others."""
    names = datasets.names()
    ends = [dev.trained() + PORTION * (len(PLANS[0].blows) + 1), len(names)]
    _put_on_the_share(dev, datasets, "testing", datasets.names("testing"))
    return [_carry_out(dev, datasets, *each, tell) for each in zip(PLANS, ends, strict=True)]


def _carry_out(
    dev: Rehearsal, datasets: Datasets, plan: Plan, end: int, tell: Callable[[str], None]
) -> Storm:
    storm, run, before = Storm(days=end), Run(), dev.trained()
    _put_on_the_share(dev, datasets, "training", datasets.names()[:end])
    dev.stack.script("queue-jobs.sh").ok()
    hidden = _hide([dev.share / "datasets/training" / n for n in datasets.names()[before:end]])
    name = f"storm-{plan.parallelism}"
    workers = {"parallelism": plan.parallelism, "worker_cpu": plan.worker_cpu}
    dev.bring_up(run, run=name, worker_memory=WORKER_MEMORY, **workers)
    with run.timed("from there to the end of the Job"):
        began = time.monotonic()
        for number, blow in enumerate(plan.blows):
            _show(hidden[: PORTION * (number + 1)])
            dev.until_trained(before + PORTION * number + 1)
            storm.struck.append(dev.trained())
            storm.pods |= _workers(dev)
            blow(dev)
            words, after = blow.__name__.replace("_", " "), time.monotonic() - began
            tell(f"{after:6.1f} s  {words}, with {storm.struck[-1]} days learned")
        _show(hidden)
        storm.ended = dev.until_job_ends()
    storm.pods |= _workers(dev)
    tell("\n".join(f"{seconds:6.1f} s  {what}" for what, seconds in run.seconds.items()))
    return storm


def test_the_jobs_complete(storms: list[Storm]) -> None:
    assert [storm.ended for storm in storms] == ["Complete", "Complete"]


def test_every_blow_struck_while_it_trained(storms: list[Storm]) -> None:
    for storm, plan in zip(storms, PLANS, strict=True):
        assert len(storm.struck) == len(plan.blows)
        assert storm.struck[-1] < storm.days
        assert len(storm.pods) >= plan.parallelism + plan.lost


def test_the_checkpoints_are_those_of_a_quiet_run_on_one_machine(
    dev: Rehearsal, storms: list[Storm], datasets: Datasets
) -> None:
    names = datasets.names()
    expected = datasets.learned(len(names))
    assert sorted(expected) == checkpoints(names)
    assert hashes(dev.share / "output") == expected


def test_every_dataset_is_committed_once_and_in_order(
    dev: Rehearsal, storms: list[Storm], datasets: Datasets
) -> None:
    lines = ledger(dev.share / "output")
    names = [f"datasets/training/{name}" for name in datasets.names()]
    assert [line["dataset"] for line in lines] == names
    assert [line["order"] for line in lines] == list(range(1, len(names) + 1))
    status = dev.stack.script("workload.sh", "queue", "status", "--json").ok().output
    queue = json.loads(status[status.index("{") :])
    assert queue["committed"] == len(names)
    assert (queue["waiting"], queue["processing"], queue["dead"]) == (0, [], [])


def _one_of_several(dev: Rehearsal) -> str:
    """Return the name of a worker that runs, and not alone, so that the work goes on."""
    return until(
        "two workers run", lambda: names if len(names := dev.running(WORKERS)) > 1 else [], 300
    )[0]


def _redis(dev: Rehearsal) -> str:
    [name] = until("Redis runs", lambda: dev.running(REDIS))
    return name


def _workers(dev: Rehearsal) -> set[str]:
    """Return the names of the workers that there are, ended ones too."""
    return {pod["metadata"]["name"] for pod in dev.pods.all(WORKERS)}


def _put_on_the_share(dev: Rehearsal, datasets: Datasets, part: str, names: list[str]) -> None:
    """Copy datasets as whoever mounts the share elsewhere may do."""
    target = dev.share / "datasets" / part
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (target / name).exists():
            shutil.copy(datasets.directory / part / name, target)
            os.chown(target / name, WORKER_USER, WORKER_USER)


def _hide(files: list[Path]) -> list[Path]:
    """Let files vanish until they are shown; return them."""
    for path in files:
        path.rename(path.with_name(f".{path.name}"))
    return files


def _show(files: list[Path]) -> None:
    for path in files:
        if not path.exists():
            path.with_name(f".{path.name}").rename(path)

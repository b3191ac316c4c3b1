"""A dataset that its worker has no memory for halts the chain at once, and nothing else does."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from tests.support.fleet import fleet, write_day
from workload.engine.chain import read
from workload.engine.memory import Room, require
from workload.engine.reconcile import rebuild
from workload.errors import DatasetTooLarge
from workload.fraud.trainer import FraudTrainer
from workload.share.store import Share

if TYPE_CHECKING:
    from pathlib import Path

    from workload.local.redis_server import EmbeddedRedis
    from workload.queue import Queue

MIB = 1 << 20
DATASET = "datasets/training/2018-04-01.pkl"


class Hungry(FraudTrainer):
    """Needs more for each row than any machine has."""

    name = "hungry"
    bytes_per_row = 1 << 50


def write(root: Path, **contents: str) -> None:
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Return a /proc of a machine with 8 MiB and a process that uses 1 MiB."""
    root = tmp_path / "proc"
    write(root, meminfo="MemTotal: 8192 kB\nSwapTotal: 0 kB\nHugePages_Total: 0\n")
    write(root, self__status="Name:\tpython\nRssAnon:\t 1024 kB\n")
    write(root, self__cgroup="0::/slice/pod\n")
    return root


@pytest.mark.parametrize(
    ("membership", "files", "mebibytes"),
    [
        ("0::/slice/pod", {"slice/pod/memory.max": "max"}, 8),
        ("0::/slice/pod", {"slice/memory.max": str(2 * MIB), "slice/pod/memory.max": "max"}, 2),
        ("0::/slice/pod", {"slice/pod/memory.max": str(3 * MIB), "memory.max": str(4 * MIB)}, 3),
        ("0::/", {"memory.max": str(5 * MIB)}, 5),
        ("0::/../other", {"memory.max": str(5 * MIB)}, 5),
        ("4:memory:/docker/a\n0::/", {"memory/memory.limit_in_bytes": str(2 * MIB)}, 2),
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, 8),
        ("1:cpu:/a", {"cpu/a/memory.max": "1"}, 8),
    ],
)
def test_the_smallest_limit_on_the_path_of_the_control_group_counts(
    proc: Path, tmp_path: Path, membership: str, files: dict[str, str], mebibytes: int
) -> None:
    write(proc, self__cgroup=membership + "\n")
    for name, content in files.items():
        write(tmp_path / "groups", **{name.replace("/", "__"): content + "\n"})
    assert Room.of_process(proc, tmp_path / "groups") == Room(mebibytes * MIB, MIB)


def test_swap_counts_as_memory(proc: Path, tmp_path: Path) -> None:
    write(proc, meminfo="MemTotal: 8192 kB\nSwapTotal: 2048 kB\n")
    room = Room.of_process(proc, tmp_path / "groups")
    assert room
    assert room.limit == 10 * MIB


def test_nothing_is_compared_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert Room.of_process(tmp_path / "proc", tmp_path / "groups") is None


def test_what_fits_exactly_is_tried_and_a_byte_more_is_named_with_its_remedy() -> None:
    room = Room(limit=3 * MIB, used=MIB)
    require("2018-04-01.csv", 2 * MIB, room)
    with pytest.raises(DatasetTooLarge) as error:
        require("2018-04-01.csv", 2 * MIB + 1, room)
    assert str(error.value) == (
        "2018-04-01.csv needs at least 3 MiB of memory, the worker has 3 MiB; raise "
        "`worker_memory` of the stack (on one machine: use a larger one), then "
        "`workload queue retry`, or split the day"
    )


def test_a_halt_for_memory_takes_one_look_and_a_retry_goes_on(
    tmp_path: Path, server: EmbeddedRedis, queue: Queue
) -> None:
    share = tmp_path / "share"
    write_day(share / DATASET, 0, dt.date(2018, 4, 1))
    queue.push([DATASET])
    with fleet(share, server) as crew:
        worker = crew.start(trainer=f"{__name__}:Hungry")
        assert worker.wait() == 3
        assert worker.log.read_text().count("Dataset failed") == 1
        halted = queue.status().halted
        assert halted
        assert halted.dataset == DATASET
        assert "`worker_memory`" in halted.reason
        assert not queue.status().dead
        assert queue.retry() == {DATASET: "retried"}
        assert crew.start().wait() == 0


def test_a_rebuild_in_a_small_pod_leaves_a_large_day_to_the_workers(
    tmp_path: Path, queue: Queue
) -> None:
    path = write_day(tmp_path / DATASET, 0, dt.date(2018, 4, 1))
    with pytest.raises(DatasetTooLarge):
        read(Hungry(), path)
    (tmp_path / "output").mkdir()
    rebuild(queue, Share(tmp_path), Hungry())
    assert queue.status().waiting == 1

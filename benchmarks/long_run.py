"""A queue of 100,000 datasets: Redis's memory, and how long a claim takes at any depth."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import Section, Table, verdict
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Claimed, Queue, Turn, Wait, connect

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.queues import Queue as Results

    import redis

ITEMS = 100_000
DEPTHS = (1, 1_000, 100_000)
WORKERS = (1, 4, 16)
RECORD = {"metrics": "x" * 1_900}
"""As long as the record of a real commit."""

_BYTES_PER_WAITING_ITEM = 200
_CHUNK = 1_000


def measure(*, quick: bool) -> Section:
    """Fill the queue, work it off and look."""
    items = ITEMS // 10 if quick else ITEMS
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as directory,
        EmbeddedRedis(Path(directory)) as server,
        connect(server.url) as control,
    ):
        memory = _memory(control, Queue(connect(server.url)), items)
        latencies = _latencies(control, server.url, 40 if quick else 300)
    ratios = [
        statistics.median(latencies[workers, DEPTHS[-1]])
        / statistics.median(latencies[workers, DEPTHS[0]])
        for workers in WORKERS
    ]
    return Section(
        "Long run",
        f"{items:,} datasets with names as in use. Memory is Redis's own count (used_memory) above "
        "what it used empty; a commit keeps its record, here of 2 kB, for ever, as the ledger's "
        "source. Claims are timed while workers claim, wait for their turn and commit, and pushes "
        "keep the depth; all on this machine's cores.",
        [
            Table(f"Memory of Redis, {items:,} datasets", ["when", "MiB", "bytes/item"], memory),
            Table(
                "Milliseconds of a claim: median (99 %)",
                ["workers", *(f"depth {depth:,}" for depth in DEPTHS)],
                [
                    [f"{workers}", *(_text(latencies[workers, depth]) for depth in DEPTHS)]
                    for workers in WORKERS
                ],
            ),
        ],
        [
            verdict(
                "bytes of Redis per waiting dataset",
                float(memory[0][2].replace(",", "")),
                _BYTES_PER_WAITING_ITEM,
                most=True,
            ),
            verdict(
                f"a claim at depth {DEPTHS[-1]:,}, times that at depth 1, at the worst",
                max(ratios),
                2.0,
                2,
                most=True,
            ),
        ],
    )


def _text(seconds: list[float]) -> str:
    last = statistics.quantiles(seconds, n=100, method="inclusive")[98]
    return f"{statistics.median(seconds) * 1000:.2f} ({last * 1000:.2f})"


def _memory(control: redis.Redis, queue: Queue, items: int) -> list[list[str]]:
    control.flushall()
    queue.claim()  # loads its scripts
    empty = _used(control)
    rows = []

    def row(when: str, count: int, used: int) -> None:
        rows.append([when, f"{used / 2**20:.1f}", f"{used / count:,.0f}"])

    for start in range(0, items, _CHUNK):
        control.rpush("datasets", *(_name(start + number) for number in range(_CHUNK)))
    row("all wait", items, _used(control) - empty)
    records = 0
    base = None
    while isinstance(answer := queue.claim(), Claimed):
        assert answer.turn  # noqa: S101 - one worker
        checkpoint = f"{records:064}"
        record = {**RECORD, "dataset": answer.lease.dataset}
        queue.complete(answer.lease, base, checkpoint, "2018-04-01", record)
        base, records = checkpoint, records + 1
    row("all are committed", items, _used(control) - empty)
    kept = sum(
        int(control.memory_usage(key, samples=0) or 0)
        for key in ("datasets:commits", "datasets:done")
    )
    row("of that the commits and their names", items, kept)
    control.delete("datasets:commits", "datasets:done")
    row("without those", items, _used(control) - empty)
    queue.close()
    return rows


def _used(control: redis.Redis) -> int:
    gc.collect()
    info: dict[str, Any] = control.info("memory")
    return int(info["used_memory"])


def _name(number: int) -> str:
    return f"datasets/training/{number:08}.parquet"


def _latencies(control: redis.Redis, url: str, samples: int) -> dict[tuple[int, int], list[float]]:
    context = multiprocessing.get_context("spawn")
    found = {}
    for depth in DEPTHS:
        for workers in WORKERS:
            control.flushall()
            for start in range(0, depth + workers, _CHUNK):
                count = min(_CHUNK, depth + workers - start)
                control.rpush("datasets", *(_name(start + number) for number in range(count)))
            each = max(20, samples // workers)
            found[workers, depth] = _claim_times(context, url, workers, each)
    return found


def _claim_times(context: SpawnContext, url: str, workers: int, each: int) -> list[float]:
    results: Results[list[float]] = context.Queue()
    barrier = context.Barrier(workers)
    processes = [
        context.Process(target=_cycle, args=(url, each, number, barrier, results))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    times = [seconds for _ in processes for seconds in results.get(timeout=600)]
    for process in processes:
        process.join()
    return times


def _cycle(url: str, each: int, number: int, barrier: Any, results: Any) -> None:  # noqa: ANN401
    """Claim as one worker, wait for the turn, commit, and push a dataset for the next."""
    with closing(Queue(connect(url))) as queue:
        queue.claim()
        queue.hand_back()
        barrier.wait()
        times = []
        for turn in range(each):
            begin = time.perf_counter()
            answer: object = queue.claim()
            times.append(time.perf_counter() - begin)
            while not isinstance(answer, Claimed):  # another was quicker
                queue.client.rpush("datasets", f"more/{number}/{turn}")
                answer = queue.claim()
            lease, mine = answer.lease, answer.turn
            while mine is None:
                look = queue.claim(lease)
                if isinstance(look, Turn):
                    mine = look
                elif isinstance(look, Wait):
                    queue.wait_for_event(look, 1.0)
                elif isinstance(look, Claimed):
                    queue.complete(look.lease, _head(look), lease.dataset, "", {})
            queue.client.rpush("datasets", f"again/{number}/{turn}")
            queue.complete(lease, mine.head.checkpoint, lease.token, "2018-04-01", {})
        results.put(times)


def _head(claimed: Claimed) -> str | None:
    return claimed.turn.head.checkpoint if claimed.turn else None

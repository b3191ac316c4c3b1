"""Jobs a second of the queue alone, beside the loop of the tutorial it replaces."""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hiredis import pack_command

from benchmarks.measure import Cost, Spread, cpu_ratio, in_turn, ratio, timed
from benchmarks.results import Section, Table, verdict
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Claimed, Queue, connect
from workload.queue.client import CRASH_LIMIT
from workload.queue.connection import script_text
from workload.queue.keys import KEYS, PROCESSING, WAITING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    import redis

LEASE_SECONDS = 20
"""The tutorial's lease."""

REFERENCE = "tutorial: claim, lease, remove, release"
OURS = "this queue: claim, complete"
AT_ONCE = "this queue: complete + next claim at once"

_DATE = "2018-04-01"


def measure(*, quick: bool) -> Section:
    """Compare the loops on a socket file and on TCP, with and without the append-only file."""
    jobs, rounds = (150, 5) if quick else (400, 25)
    tables, verdicts = [], []
    for transport in ("socket file", "TCP"):
        for persistence in ("everysec", "off"):
            with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
                costs = _compare(Path(directory), transport, persistence, jobs, rounds)
            where = f"{transport}, append-only file {persistence}"
            tables.append(_table(f"{where}: {rounds} turns of {jobs:,} jobs", costs))
            reached = ratio(costs[OURS], costs[REFERENCE]).median
            verdicts.append(verdict(f"times the tutorial's loop, {where}", reached, 1.3, 2))
    return Section(
        "Queue",
        "One client on one kept connection, jobs that do nothing, one server; medians (extremes). "
        "Ratios are taken within each turn; the processor time is client plus server.",
        tables,
        verdicts,
    )


def _compare(
    directory: Path, transport: str, persistence: str, jobs: int, rounds: int
) -> dict[str, list[Cost]]:
    options: tuple[str, ...] = ("--appendonly", "no") if persistence == "off" else ()
    port = free_port()
    if transport == "TCP":
        options += ("--port", str(port))
    with EmbeddedRedis(directory, options=options) as server:
        url = f"redis://127.0.0.1:{port}" if transport == "TCP" else server.url
        queue = Queue(connect(url))
        client = connect(url).client()  # type: ignore[no-untyped-call]
        with connect(url) as control, client, closing(queue):
            loops: dict[str, Callable[[Iterator[int]], None]] = {
                REFERENCE: partial(tutorial_loop, client),
                "tutorial: the same, asking `empty` before": partial(
                    tutorial_loop, client, asking=True
                ),
                OURS: partial(two_round_trips, queue),
                AT_ONCE: partial(one_round_trip, client),
            }
            subjects = {name: partial(run, control, loop, jobs) for name, loop in loops.items()}
            return in_turn(subjects, rounds)


def run(control: redis.Redis, loop: Callable[[Iterator[int]], None], jobs: int) -> Cost:
    """Fill an empty server, run the loop and check that nothing is left."""
    control.flushall()
    control.rpush(WAITING, *(f"datasets/training/{number:06}.pkl" for number in range(jobs)))

    def work() -> int:
        loop(iter(range(jobs)))
        return jobs

    cost = timed(work, lambda: server_seconds(control))
    if control.exists(WAITING, PROCESSING):
        raise RuntimeError("a loop has left jobs behind")
    return cost


def server_seconds(control: redis.Redis) -> float:
    """Return the processor time that the server has used so far."""
    usage: dict[str, Any] = control.info("cpu")
    return float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])


def tutorial_loop(client: redis.Redis, numbers: Iterator[int], *, asking: bool = False) -> None:
    """Run the loop of the tutorial's `rediswq.py`: two commands to lease, two to complete.

    The tutorial's worker also asks whether the queue is empty before each job.
    """
    waiting, processing = WAITING, PROCESSING
    for _ in numbers:
        if asking and client.llen(waiting) == 0 and client.llen(processing) == 0:
            return
        item: Any = client.brpoplpush(waiting, processing, timeout=2)
        digest = hashlib.sha224(item.encode()).hexdigest()
        client.set(f"{WAITING}:leased_by_session:{digest}", "session", ex=LEASE_SECONDS)
        client.lrem(processing, 0, item)
        digest = hashlib.sha224(item.encode()).hexdigest()
        client.delete(f"{WAITING}:leased_by_session:{digest}")


def two_round_trips(queue: Queue, numbers: Iterator[int]) -> None:
    """Claim and complete as a worker does."""
    for number in numbers:
        claimed = queue.claim()
        assert isinstance(claimed, Claimed)  # noqa: S101 - a benchmark of something else otherwise
        assert claimed.turn  # noqa: S101
        lease, base = claimed.lease, claimed.turn.head.checkpoint
        queue.complete(lease, base, f"{number}", _DATE, {"dataset": lease.dataset})


def one_round_trip(client: redis.Redis, numbers: Iterator[int]) -> None:
    """Send each completion with the next claim; what a worker could do, and does not."""
    connection = client.connection_pool.get_connection()
    claim, complete = (
        ("EVALSHA", client.script_load(script_text(name)), len(KEYS), *KEYS)
        for name in ("claim", "complete")
    )
    base = dataset = token = ""
    for number in numbers:
        checkpoint = f"{number}"
        request = (*claim, f"session.{number}", LEASE_SECONDS * 1000, CRASH_LIMIT, "", "", 0)
        if dataset:
            record = json.dumps({"dataset": dataset})
            commit = (*complete, dataset, token, base, checkpoint, _DATE, record)
            _send(connection, commit, request)
            _committed(connection.read_response())
            base = checkpoint
        else:
            _send(connection, request)
        _, dataset, token, *_ = connection.read_response()
    _send(connection, (*complete, dataset, token, base, "last", _DATE, "{}"))
    _committed(connection.read_response())
    client.connection_pool.release(connection)


def _send(connection: Any, *commands: tuple[str | int, ...]) -> None:  # noqa: ANN401 - redis-py's
    connection.send_packed_command([b"".join(map(pack_command, commands))])  # type: ignore[arg-type]


def _committed(outcome: str) -> None:
    if outcome != "committed":
        raise RuntimeError(f"a job was not committed: {outcome}")


def _table(title: str, costs: Mapping[str, list[Cost]]) -> Table:
    reference = costs[REFERENCE]
    rows = [
        [
            name,
            Spread.of(cost.rate for cost in mine).text(),
            ratio(mine, reference).text(2),
            cpu_ratio(mine, reference).text(2),
            Spread.of(cost.cpu / cost.units * 1e6 for cost in mine).text(),
            Spread.of(cost.server / cost.units * 1e6 for cost in mine).text(),
        ]
        for name, mine in costs.items()
    ]
    columns = [
        "loop",
        "jobs/s",
        "times as fast",
        "times less CPU",
        "client µs/job",
        "server µs/job",
    ]
    return Table(title, columns, rows)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port

"""One of the other queues: `peer_worker.py NAME work|fill URL [JOBS|hold]`, in the peers' venv.

Each is set as its documentation says it is fastest, and so that it notices a dead worker as soon as
it can while a job may take `JOB_SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import redis

JOB_SECONDS = 30
"""How long a job may take; what decides after a time limit must wait longer."""
HEARTBEAT_SECONDS = 15
"""Where a queue has heartbeats: as long as the lease of this project's queue."""

NAME, VERB, URL = sys.argv[1:4]


def note(number: int, count: int) -> None:
    """Record the time, and this process's processor time, at the first and the last job."""
    if number in {0, count - 1}:
        with redis.Redis.from_url(URL) as client:
            client.rpush("bench:marks", f"{time.monotonic()} {time.process_time()}")


def started() -> None:
    """Tell that a job runs that will be killed, and in which process."""
    with redis.Redis.from_url(URL) as client:
        client.rpush("bench:starts", os.getpid())


def job(number: int, count: int) -> None:
    """Do nothing."""
    note(number, count)


def hold() -> None:
    """Take as long as a job may."""
    started()
    time.sleep(JOB_SECONDS)


async def async_job(_context: Any, *, number: int, count: int) -> None:  # noqa: ANN401
    """Do nothing, for event loops."""
    note(number, count)


async def async_hold(context: Any) -> None:  # noqa: ANN401
    """Take as long as a job may, for event loops; saq wants to hear from a job that lives."""
    started()
    for _ in range(JOB_SECONDS):
        if "job" in context:
            await context["job"].update()
        await asyncio.sleep(1)


def rq_peer() -> None:
    """Run RQ with the worker that forks nothing; it looks after dead ones every second."""
    import rq  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    connection = redis.Redis.from_url(URL)
    queue = rq.Queue(connection=connection)
    if VERB == "work":
        worker = rq.SimpleWorker if os.environ.get("PEER_FAST") else rq.Worker
        worker(
            [queue],
            connection=connection,
            worker_ttl=20,
            maintenance_interval=1,
            job_monitoring_interval=1,
        ).work(logging_level="ERROR")
    elif sys.argv[4] == "hold":
        queue.enqueue("peer_worker.hold", retry=rq.Retry(max=3), job_timeout=JOB_SECONDS + 1)
    else:
        count = int(sys.argv[4])
        queue.enqueue_many(
            [
                rq.Queue.prepare_data("peer_worker.job", args=(number, count), result_ttl=0)
                for number in range(count)
            ]
        )


def saq_peer() -> None:
    """Run saq: ten jobs at once, heartbeats, a sweep every second."""
    import saq  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    queue = saq.Queue.from_url(URL)

    async def run() -> None:
        await queue.connect()
        if VERB == "work":
            functions = [("job", async_job), ("hold", async_hold)]
            timers = {} if os.environ.get("PEER_FAST") else {"sweep": 1}
            worker = saq.Worker(queue, functions, concurrency=10, timers=timers)
            await worker.start()
        elif sys.argv[4] == "hold":
            beat = HEARTBEAT_SECONDS
            await queue.enqueue("hold", timeout=0, heartbeat=beat, retries=3)
        else:
            count = int(sys.argv[4])
            for number in range(count):
                await queue.enqueue("job", number=number, count=count, ttl=-1)

    asyncio.run(run())


def arq_peer() -> None:
    """Run arq: ten jobs at once; it knows no heartbeat, only the longest time of a job."""
    import arq  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    from arq.connections import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        RedisSettings,
    )

    settings = RedisSettings.from_dsn(URL)

    async def fill() -> None:
        pool = await arq.create_pool(settings)
        if sys.argv[4] == "hold":
            await pool.enqueue_job("hold")
        else:
            count = int(sys.argv[4])
            for number in range(count):
                await pool.enqueue_job("job", number=number, count=count)

    if VERB == "fill":
        asyncio.run(fill())
        return
    functions = [arq.func(async_job, name="job"), arq.func(async_hold, name="hold")]
    arq.run_worker(
        {
            "functions": functions,
            "redis_settings": settings,
            "job_timeout": JOB_SECONDS + 1,
            "keep_result": 0,
            "poll_delay": 0.01,
            "max_jobs": 10,
        }  # type: ignore[arg-type,unused-ignore]
    )


def dramatiq_peer() -> None:
    """Run dramatiq: eight threads; it looks after dead workers at every command."""
    import dramatiq  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    from dramatiq.brokers.redis import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        RedisBroker,
    )

    quick = {"maintenance_chance": 1_000_000} if not os.environ.get("PEER_FAST") else {}
    broker = RedisBroker(url=URL, heartbeat_timeout=HEARTBEAT_SECONDS * 1000, **quick)
    dramatiq.set_broker(broker)
    job_actor, hold_actor = dramatiq.actor(job), dramatiq.actor(hold)
    if VERB == "work":
        worker = dramatiq.Worker(broker, worker_threads=8)
        worker.start()
        time.sleep(3600)
    elif sys.argv[4] == "hold":
        hold_actor.send()
    else:
        count = int(sys.argv[4])
        for number in range(count):
            job_actor.send(number, count)


if __name__ == "__main__":
    sys.modules["peer_worker"] = sys.modules["__main__"]
    {"rq": rq_peer, "saq": saq_peer, "arq": arq_peer, "dramatiq": dramatiq_peer}[NAME]()

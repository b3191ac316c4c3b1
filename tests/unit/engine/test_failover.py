"""A batch whose Redis fails over, both ways: by the death of its primary, and as planned."""

from __future__ import annotations

import datetime as dt
import signal
from typing import TYPE_CHECKING

from tests.support.fleet import Accident, fleet, until, write_day
from workload.engine.ledger import read_ledger
from workload.queue import Queue, connect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.redundant import RedundantRedis

START = dt.date(2018, 4, 1)
UNHURRIED = {"lease_seconds": 600, "renew_seconds": 1}


def test_a_failover_loses_no_dataset_and_counts_against_none(
    any_redundant: RedundantRedis, tmp_path: Path
) -> None:
    """At each one a worker is about to commit, and another one waits for its turn."""
    share = tmp_path / "share"
    manifest = []
    for number in range(4):
        name = f"datasets/training/{START + dt.timedelta(number)}.pkl"
        write_day(share / name, number, START)
        manifest.append(name)
    queue = Queue(connect(any_redundant.url))
    queue.push(manifest)
    with fleet(share, any_redundant) as crew:
        first = crew.start(Accident("after training", signal.SIGSTOP, time=1), **UNHURRIED)
        first.wait_until_stopped()
        second = crew.start(Accident("after training", signal.SIGSTOP, time=1), **UNHURRIED)
        until(lambda: len(queue.status().claims) == 2, "the second worker waits for its turn")
        any_redundant.wait_until_redundant()
        any_redundant.lose_primary()
        first.signal(signal.SIGCONT)
        second.wait_until_stopped()
        any_redundant.start_killed()
        any_redundant.wait_until_redundant()
        any_redundant.fail_over()
        any_redundant.demote_other()
        second.signal(signal.SIGCONT)
        for worker in (first, second):
            assert worker.wait() == 0, worker.log.read_text()
    lines = read_ledger(share / "output/ledger.jsonl")
    commits = queue.commits()
    assert [line["dataset"] for line in lines] == manifest
    assert [line["checkpoint"] for line in lines] == [each.record["checkpoint"] for each in commits]
    assert [line["base"] for line in lines[1:]] == [line["checkpoint"] for line in lines[:-1]]
    assert [(commit.attempts, commit.crashes) for commit in commits] == [(0, 0)] * 4
    assert (queue.status().drained, queue.status().dead, queue.status().halted) == (True, [], None)
    queue.close()

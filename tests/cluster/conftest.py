"""One node for all tests of a part, and a dev stack that journeys share, one after the other."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import existing
import pytest
from fakes.google_api.server import FakeGoogle
from forks import fork_server, forked
from journeys.learned import Datasets
from journeys.rehearsed import Rehearsal, changed_settings
from node import images, store
from node.kubernetes_node import Node
from node.logs import directory
from node.namespace import PID_FILE
from parts import PARTS
from stack_under_test import StackUnderTest
from toolchain.build import GROUPS, ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

HERE = Path(__file__).parent

FILESTORE, SHARE = "10.1.2.2", "NFSVol"
"""Address and share of the instance that the fake Filestore makes."""

SIMULATED_DAYS = 9
"""As many as two runs of the dev stack learn."""

STORM_DAYS = 55
"""As many as are learned after them, between the blows of ``test_preemption``."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files in the order of the story."""
    order = [HERE / file for files in PARTS.values() for file in files]
    items.sort(key=lambda item: order.index(item.path))


@pytest.fixture(scope="session")
def state() -> Path:
    """Scratch directory of the run; without one the tests are not inside, which is a failure."""
    if "REHEARSAL" not in os.environ:
        pytest.fail("these tests change the machine that they run on: start them by make rehearse")
    return Path(os.environ["REHEARSAL"])


@pytest.fixture(scope="session")
def tools() -> Path:
    """Directory of the programs: the node's, and the Pulumi CLI."""
    return ensure(GROUPS["existing" if existing.chosen() else "rehearsal"])


@pytest.fixture(scope="session")
def node(state: Path, tools: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A cluster of one node; with KEEP=1 it stays up after the tests until Ctrl-C."""
    found = images.ensure(tools / "pause")
    with Node(tools, found, store.ensure(found), state, directory()) as node:
        yield node
        if os.environ.get("KEEP") == "1":
            with _uncaptured(request):
                _keep(node, state)


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints what whoever runs the rehearsal should see, passed or not."""

    def told(text: str) -> None:
        with _uncaptured(request):
            print(f"\n{text}")  # noqa: T201

    return told


@pytest.fixture(scope="session")
def datasets(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Datasets]:
    """Days of data; while the tests begin, this machine learns them without a cluster."""
    storms = any(item.path.stem == "test_preemption" for item in request.session.items)
    days = SIMULATED_DAYS + STORM_DAYS * storms
    data = Datasets.start(tmp_path_factory.mktemp("datasets"), days)
    yield data
    data.stop()


@pytest.fixture(scope="session")
def google(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGoogle]:
    """An empty Google project whose clusters answer with the node's API server."""
    with FakeGoogle(tmp_path_factory.mktemp("google"), node.api.address) as fake:
        yield fake


@pytest.fixture(scope="session")
def python() -> Iterator[Sequence[str]]:
    """Command that starts Python programs as forks of one that has imported their packages."""
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
    """The dev stack as the repository has it, but for project and images, after ``pulumi up``."""
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


def _uncaptured(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    manager: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return manager


def _keep(node: Node, state: Path) -> None:
    pid = (state / PID_FILE).read_text()
    environment = f"KUBECONFIG={node.kubeconfig} PATH={Path(node.kubectl[0]).parent}:$PATH"
    print(  # noqa: T201 - what the user asked for
        f"\n\nThe cluster stays up until Ctrl-C. KUBECONFIG={node.kubeconfig}\n"
        f"  nsenter --target {pid} --mount --uts --ipc --net --pid env {environment} bash\n"
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        return

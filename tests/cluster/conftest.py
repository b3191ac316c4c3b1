"""One node for all tests of a part."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import existing
import pytest
from node import images, store
from node.kubernetes_node import Node
from node.logs import directory
from node.namespace import PID_FILE
from parts import PARTS
from toolchain.build import GROUPS, ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in the order of the story."""
    order = [HERE / file for files in PARTS.values() for file in files]
    items.sort(key=lambda item: order.index(item.path))


@pytest.fixture(scope="session")
def state() -> Path:
    """Return the run's scratch directory; without one the tests are not inside: a failure."""
    if "REHEARSAL" not in os.environ:
        pytest.fail("these tests change the machine that they run on: start them by make rehearse")
    return Path(os.environ["REHEARSAL"])


@pytest.fixture(scope="session")
def tools() -> Path:
    """Return the directory of the programs: the node's, and the Pulumi CLI."""
    return ensure(GROUPS["existing" if existing.chosen() else "rehearsal"])


@pytest.fixture(scope="session")
def node(state: Path, tools: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """Yield a cluster of one node; with KEEP=1 it stays up after the tests until Ctrl-C."""
    found = images.ensure(tools / "pause")
    with Node(tools, found, store.ensure(found), state, directory()) as node:
        yield node
        if os.environ.get("KEEP") == "1":
            with _uncaptured(request):
                _keep(node, state)


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print what whoever runs the rehearsal should see, passed or not."""

    def told(text: str) -> None:
        with _uncaptured(request):
            print(f"\n{text}")  # noqa: T201

    return told


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

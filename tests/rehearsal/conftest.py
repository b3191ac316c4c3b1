"""One node for all tests of a run."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import images
import pytest
import store
from logs import LOGS
from namespace import PID_FILE
from node import Node
from toolchain.build import GROUPS, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def state() -> Path:
    """Scratch directory of the run; without one the tests are not inside, which is a failure."""
    if "REHEARSAL" not in os.environ:
        pytest.fail("these tests change the machine that they run on: start them by make rehearse")
    return Path(os.environ["REHEARSAL"])


@pytest.fixture(scope="session")
def tools() -> Path:
    """Directory of the node's programs."""
    return ensure(GROUPS["rehearsal"])


@pytest.fixture(scope="session")
def node(state: Path, tools: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A cluster of one node; with KEEP=1 it stays up after the tests until Ctrl-C."""
    found = images.ensure(tools / "pause")
    with Node(tools, found, store.ensure(found), state, LOGS) as node:
        yield node
        if os.environ.get("KEEP") == "1":
            capture = request.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                _keep(node, state)


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

"""Real engine, real API server, fake Google: one of each for the tests of a file."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from apiserver import ControlPlane
from fakes.google_api.server import FakeGoogle
from forks import fork_server, forked
from stack_under_test import StackUnderTest
from toolchain.build import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORK_SERVER = "ENGINE_FORK_SERVER"


@pytest.fixture(scope="session")
def binaries() -> Path:
    """Return the directory of the tools; a missing one is a failure, never a skip."""
    return ensure()


def pytest_configure(config: pytest.Config) -> None:
    """Start what forks Python programs: one for all workers, which inherit its address."""
    if hasattr(config, "workerinput"):
        return
    ended = ExitStack()
    config.add_cleanup(ended.close)
    os.environ[FORK_SERVER] = ended.enter_context(fork_server())


@pytest.fixture(scope="session")
def python() -> Sequence[str]:
    """Return the command that starts Python programs as forks of one that has their packages."""
    return forked(os.environ[FORK_SERVER])


@pytest.fixture(scope="module")
def control_plane(
    binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """Yield an empty Kubernetes cluster without nodes."""
    with ControlPlane(binaries, tmp_path_factory.mktemp("control-plane")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def google(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FakeGoogle]:
    """Yield an empty Google project whose clusters answer with the control plane."""
    with FakeGoogle(tmp_path_factory.mktemp("google"), control_plane.address) as fake:
        yield fake
        assert set(fake.refused_hosts) <= {"openidconnect.googleapis.com:443"}, (
            "something asked for a host outside this machine"
        )


@pytest.fixture(scope="module")
def stack(
    binaries: Path,
    google: FakeGoogle,
    control_plane: ControlPlane,
    python: Sequence[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> StackUnderTest:
    """Return the dev stack, initialised and configured, with nothing created yet."""
    directory = tmp_path_factory.mktemp("stack")
    return StackUnderTest(directory, binaries, google, control_plane, "dev", python)


@pytest.fixture(scope="module")
def deployed(stack: StackUnderTest) -> StackUnderTest:
    """Return the dev stack after `pulumi up`."""
    stack.up("--skip-preview").ok()
    return stack

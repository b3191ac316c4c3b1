"""Python programs of the engine, as forks of one process that has imported their packages."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stack_under_test import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def fork_server() -> Iterator[str]:
    """Run the server; yield its address, a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="fork-") as directory:
        address = f"{directory}/socket"
        server = subprocess.Popen(
            [sys.executable, "-u", str(PLUGINS / "fork_server.py"), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with server:
            assert server.stdout is not None
            assert server.stdout.readline(), "the fork server ended at once"
            yield address
            assert server.stdin is not None
            server.stdin.close()


def forked(address: str) -> tuple[str, ...]:
    """Return the command that starts a Python program by the server of that address."""
    return sys.executable, "-I", "-S", str(PLUGINS / "fork_client.py"), address

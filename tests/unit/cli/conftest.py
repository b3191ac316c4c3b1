"""The command line, called in the test's own process."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from workload.cli import main as cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run one command line in this process: exit code, output, errors."""
    before = dict(os.environ)
    monkeypatch.setenv("COLUMNS", "200")
    for name in (each for each in before if each.startswith(("WORKLOAD_", "REDIS_PASSWORD"))):
        monkeypatch.delenv(name, raising=False)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["workload", *shlex.split(line)])
        code = cli.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    os.environ.clear()
    os.environ.update(before)

"""Whatever streams and signals a caller leaves: no traceback, the stated exit code."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workload.engine import numeric
from workload.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
WORKLOAD = f"{shlex.quote(sys.executable)} -m workload"

WITH_SIGNAL = """
import os, runpy, signal, sys

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), int(number))

_, module, number = sys.argv
sys.meta_path.insert(0, AtImport())
runpy.run_module("workload", run_name="__main__")
"""
"""Runs `workload` and sends it a signal when it imports a module."""

PENDING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.executable, [sys.executable, "-m", "workload", "--version"])
"""
"""Starts `workload` as `numeric.pin` does when a SIGTERM has come meanwhile."""


def environment() -> dict[str, str]:
    """Return a pinned environment, so that the program is not started over."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, **numeric.pinned_environment(), "PYTHONPATH": str(ROOT)}


def shell(line: str, variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a line of bash with its redirections: exit code, output, errors."""
    done = subprocess.run(
        ["bash", "-c", line],
        env={**environment(), **(variables or {})},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("module", ["workload.engine", "workload.errors", "workload.cli.main"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_modules_are_imported_is_handed_back_without_a_traceback(
    module: str, number: signal.Signals
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_SIGNAL, module, str(int(number))],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.HANDED_BACK, "", "")
    assert os.EX_TEMPFAIL == ExitCode.HANDED_BACK


def test_a_sigterm_that_was_blocked_while_the_program_started_over_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PENDING],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.HANDED_BACK, "", "")


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["--help", "report --share nowhere", "bogus", "share receive"])
def test_a_closed_stream_is_like_the_null_device(closed: str, command: str) -> None:
    opened = closed.replace("&-", "/dev/null")
    line = f"{WORKLOAD} {command}"
    assert shell(f"{line} {closed}") == shell(f"{line} {opened}")


def test_no_file_gets_what_was_meant_for_a_closed_stream(tmp_path: Path) -> None:
    code, out, err = shell(f"{WORKLOAD} simulate --out {tmp_path}/data --days 1 >&- 2>&- 0<&-")
    assert (code, out, err) == (0, "", "")
    assert shell(f"{WORKLOAD} simulate --out {tmp_path}/same --days 1")[0] == 0
    for path in sorted((tmp_path / "same").rglob("*.pkl")):
        twin = tmp_path / "data" / path.relative_to(tmp_path / "same")
        assert path.read_bytes() == twin.read_bytes()


@pytest.mark.parametrize(("command", "code"), [("--help", 1), ("report --share nowhere", 2)])
def test_errors_that_nobody_reads_leave_the_exit_code(command: str, code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        line = [sys.executable, "-m", "workload", *command.split()]
        done = subprocess.run(
            line, env=environment(), stdout=stream, stderr=stream, check=False, timeout=60
        )
    assert done.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_output_that_has_no_room_is_one_line() -> None:
    code, out, err = shell(f"{WORKLOAD} --version >/dev/full")
    assert (code, out) == (ExitCode.FAILED, "")
    assert err == "workload: [Errno 28] No space left on device\n"


def test_any_character_is_shown_in_ascii() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    code, _, err = shell(
        f"{WORKLOAD} report --share 'n\N{LATIN SMALL LETTER U WITH DIAERESIS}'", ascii_only
    )
    assert code == ExitCode.USAGE
    assert err.startswith("workload: n\\xfc/output/ledger.jsonl: no ledger")
    show = (
        "from workload.cli import streams; streams.prepare(); "
        "print('99.3\\N{NO-BREAK SPACE}% \\udcff \\u2713')"
    )
    assert shell(f'{shlex.quote(sys.executable)} -c "{show}"', ascii_only) == (
        0,
        "99.3 % \\udcff \\u2713\n",
        "",
    )

"""Nothing of a rehearsal outlives it on the machine, however it ends.

These tests run a rehearsal of a shell script inside the rehearsal, where nothing else disturbs the
comparison.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from node import cgroups, namespace
from node.waiting import until

CLUSTER = Path(__file__).parents[1]
MARK = "987654"

_SCRIPT = f"""
set -eu
ip link add left0 type bridge
iptables --table nat --append PREROUTING --jump ACCEPT
mkdir /run/left /var/lib/left /var/log/left "$REHEARSAL/left"
mount -t tmpfs tmpfs "$REHEARSAL/left"
sysctl -q kernel.panic=77
setsid sleep {MARK} &
for group in /sys/fs/cgroup/pids /sys/fs/cgroup; do
  group=$group/$(basename "$REHEARSAL")
  if [ -d "$group" ]; then mkdir "$group/left"; echo $! >"$group/left/cgroup.procs"; break; fi
done
basename "$REHEARSAL"
"""


@pytest.fixture
def before(state: Path) -> dict[str, object]:
    """Return what the machine looks like; `state` makes sure that it is not the real one."""
    return _machine()


def test_end_of_the_command_leaves_nothing(before: dict[str, object]) -> None:
    with _rehearsal(_SCRIPT) as run:
        name = _line(run)
        assert run.wait(60) == 0
    assert not _left(name)
    assert _machine() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_end_of_the_first_process_leaves_nothing(
    before: dict[str, object], number: signal.Signals
) -> None:
    with _rehearsal(f"{_SCRIPT}\nwait") as run:
        name = _line(run)
        assert len(_left(name)) >= 3
        run.send_signal(number)
        run.wait(60)
    until("nothing is left", lambda: not _left(name), story=lambda: _left(name))
    assert _machine() == before


def test_exit_code_is_the_commands() -> None:
    with _rehearsal("exit 3") as run:
        assert run.wait(60) == 3


def test_two_side_by_side_are_apart_and_both_are_heard_and_stopped(
    before: dict[str, object],
) -> None:
    program = """
import sys, tempfile
from node import namespace
with tempfile.TemporaryFile("w+") as output:
    codes = namespace.run_side_by_side(*(["sh", "-c", f"{a}\\nwait"] for a in sys.argv[1:]), output)
    output.seek(0)
    print(*codes, output.read().strip())
"""
    # Each makes an interface of the same name, which one network would not take twice.
    with subprocess.Popen(
        [sys.executable, "-B", "-c", program, _SCRIPT, _SCRIPT],
        cwd=CLUSTER,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            first = _line(run)
            until("the second one runs", lambda: len(_sleepers()) == 2)
            run.send_signal(signal.SIGINT)
            one, other, second = run.communicate(timeout=60)[0].split()
        finally:
            run.kill()
    assert (one, other) == ("130", "130")
    assert first != second
    until("nothing is left", lambda: not _left(first) + _left(second))
    assert _machine() == before


def _rehearsal(script: str) -> subprocess.Popen[str]:
    program = (
        "import sys; from node import namespace; sys.exit(namespace.run(['sh', '-c', sys.argv[1]]))"
    )
    return subprocess.Popen(
        [sys.executable, "-B", "-c", program, script],
        cwd=CLUSTER,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(run: subprocess.Popen[str]) -> str:
    assert run.stdout is not None
    return run.stdout.readline().strip()


def _left(name: str) -> list[object]:
    """Return files, control groups and processes of a rehearsal."""
    directory = namespace.SCRATCH / name
    return [*([directory] if directory.exists() else []), *cgroups.groups(name), *_sleepers()]


def _sleepers() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]


def _machine() -> dict[str, object]:
    """Return what a rehearsal could have changed elsewhere."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "devices": sorted(psutil.net_if_addrs()),
        "rules": [line for line in rules.splitlines() if line.startswith("-")],
        "kernel": Path("/proc/sys/kernel/panic").read_text(),
        "written": [
            sorted(Path(directory).iterdir()) for directory in ("/run", "/var/lib", "/var/log")
        ],
    }

"""First process of a rehearsal's namespaces: furnishes them, runs a command, reaps what it leaves.

Usage: inside.py DIRECTORY COMMAND [ARGUMENT ...]

What the container runtime, the kubelet and the network plugins write to fixed places goes to
memory, over the machine's own: `/run`, `/var/log` and `/var/lib`, and so do the settings of
the kernel that the kubelet insists on and that no namespace holds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from node import cgroups
from node.network import ADDRESS, NAME, PREFIX_LENGTH, SERVICES

if TYPE_CHECKING:
    from types import FrameType

STOP_SECONDS = 90
"""How long the command may take to end when it is asked to."""

KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
"""What the kubelet would set on the whole machine; it reads these and leaves them alone."""


def main(state: Path, command: list[str]) -> int:
    """Run the command; return its exit code, or 128 and the signal that ended it."""
    asked = _Asked()
    _mounts()
    _network()
    cgroups.create(state.name)
    child = subprocess.Popen(command, env={**os.environ, "REHEARSAL": str(state)})
    asked.tell(child.pid)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


class _Asked:
    """Turns every signal that asks for an end into the Ctrl-C that pytest cleans up after."""

    def __init__(self) -> None:
        self._pid = 0
        self._before = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        signal.signal(signal.SIGALRM, self._give_up)

    def tell(self, pid: int) -> None:
        """Name the process to pass signals on to, also one that came before."""
        self._pid = pid
        if self._before:
            self._pass_on(signal.SIGINT, None)

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._before = True
        if self._pid:
            signal.alarm(STOP_SECONDS)
            os.kill(self._pid, signal.SIGINT)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGALRM)


def _mounts() -> None:
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/log")
    upper, work = Path("/run/var-lib/upper"), Path("/run/var-lib/work")
    for directory in (upper, work):
        directory.mkdir(parents=True)
    options = f"lowerdir=/var/lib,upperdir={upper},workdir={work}"
    _do("mount", "-t", "overlay", "-o", options, "overlay", "/var/lib")
    for name, value in KERNEL_SETTINGS.items():
        pretended = Path("/run/kernel-settings") / name
        pretended.parent.mkdir(parents=True, exist_ok=True)
        pretended.write_text(f"{value}\n")
        _do("mount", "--bind", str(pretended), f"/proc/sys/{name}")


def _network() -> None:
    """Add an address that is not loopback's, as the kubelet takes no other, and no way out."""
    _do("hostname", NAME)
    _do("ip", "link", "set", "lo", "up")
    _do("ip", "link", "add", "node0", "type", "veth", "peer", "name", "uplink0")
    _do("ip", "address", "add", f"{ADDRESS}/{PREFIX_LENGTH}", "dev", "node0")
    for device in ("node0", "uplink0"):
        _do("ip", "link", "set", device, "up")
    # A connection to a Service leaves towards its address before it is redirected.
    _do("ip", "route", "add", SERVICES, "dev", "node0")


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

"""Runs a command that must not outlive its starter: ``python -m workload.local.tether COMMAND...``.

The command ends when standard input closes, which the kernel does even when the starter is killed;
by force, when it does not end on its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

INHERIT = "WORKLOAD_TETHER_INHERIT"
"""Names the descriptors the command keeps open."""

GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL, once the starter is gone."""


def main() -> int:
    """Returns the command's exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the starter's to handle
    child = subprocess.Popen(  # noqa: S603 - the caller's own command
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[int(number) for number in os.environ.pop(INHERIT, "").split()],
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def watch() -> None:
        while os.read(0, 4096):
            pass
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())

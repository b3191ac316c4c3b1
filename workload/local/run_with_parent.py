"""Run a command that ends with its parent: `python -m workload.local.run_with_parent COMMAND...`.

The command ends when standard input closes, which the kernel does even when the parent is killed;
by force, when it does not end on its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

INHERITED_DESCRIPTORS = "WORKLOAD_INHERITED_DESCRIPTORS"
"""Environment variable: numbers of the file descriptors that the command keeps open."""

GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL, once the parent is gone."""


def main() -> int:
    """Run the command of `sys.argv` and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to handle
    descriptors = os.environ.pop(INHERITED_DESCRIPTORS, "").split()
    child = subprocess.Popen(  # noqa: S603 - the caller's own command
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[int(number) for number in descriptors],
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

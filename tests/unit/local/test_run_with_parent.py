"""A command that runs with its parent ends with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

IMPATIENT = (
    "from workload.local import run_with_parent\n"
    "run_with_parent.GRACE_SECONDS = 0.1\n"
    "run_with_parent.main()"
)
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1; done"


def test_a_command_that_ignores_sigterm_ends_all_the_same() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "sh", "-c", STUBBORN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        command = os.pidfd_open(int(runner.stdout.readline()))
        runner.stdin.close()
        ended, _, _ = select.select([command], [], [], 60)
        if not ended:
            signal.pidfd_send_signal(command, signal.SIGKILL)
        os.close(command)
    assert ended

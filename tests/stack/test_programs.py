"""What the tests start ends with them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

STARTER = """
import sys
from pathlib import Path
from programs import Programs

programs = Programs(Path(sys.argv[1]), orphans=False)
programs.start("program", ["sh", "-c", "echo $$; exec sleep 600"])
log = programs.log("program")
while not log.read_text().endswith("\\n"):
    programs.check()
print(log.read_text(), flush=True)
sys.stdin.read()
"""


def test_a_program_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdout is not None
        program = os.pidfd_open(int(starter.stdout.readline()))
        starter.kill()
    ended, _, _ = select.select([program], [], [], 60)
    if not ended:
        signal.pidfd_send_signal(program, signal.SIGKILL)
    os.close(program)
    assert ended

"""A short chaos, as part of every test run; `make chaos` is the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_nothing_is_lost_or_done_twice_in_a_short_chaos() -> None:
    words = ["--seed", "1", "--datasets", "8", "--workers", "3", "--kills", "12", "--minutes", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "proofs.chaos", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for kind in (
        *("kill worker", "stop for longer than the lease", "terminate"),
        *("kill Redis", "kill Redis for good", "fail over"),
    ):
        assert re.search(rf"[1-9]\d* x {kind}$", done.stdout, re.MULTILINE), done.stdout

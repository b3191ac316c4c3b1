"""How a test cuts off an update, and sees that the next one has made up for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack_under_test import StackUnderTest


def finish(stack: StackUnderTest) -> None:
    """Run `up` and assert that nothing is missing, pending or there twice."""
    stack.up("--skip-preview").ok()
    stack.run("preview", "--refresh", "--expect-no-changes").ok()
    resources = stack.state()["checkpoint"]["latest"]["resources"]
    urns = [resource["urn"] for resource in resources]
    assert len(urns) == len(set(urns))
    assert not stack.state()["checkpoint"]["latest"].get("pending_operations")


def kill(program: str, home: Path) -> None:
    """Kill the processes of `program` that belong to the stack in `home`."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            executable = (process / "exe").resolve().name
            environment = (process / "environ").read_text(errors="replace")
        except OSError:  # it has just ended, or is not ours
            continue
        if executable == program and str(home) in environment:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    assert killed, f"no {program} is running"

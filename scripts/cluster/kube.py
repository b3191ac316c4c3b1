"""kubectl, as `scripts/cluster.bash` has set it up for the stack."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import IO, TYPE_CHECKING, Any

from scripts.cluster.console import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_LINE = "command terminated with exit code"
"""How kubectl's own line begins when a command in a pod failed."""

_LINE = 1 << 16


def command(*arguments: str) -> list[str]:
    """Return the words of a kubectl command."""
    return [*shlex.split(os.environ["BATCH_KUBECTL"]), *arguments]


def ask(*arguments: str) -> str:
    """Return what kubectl prints; raises Failure with its last line."""
    done = subprocess.run(  # noqa: S603 - kubectl of the operator
        command(*arguments, "--request-timeout=30s"),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Failure(f"kubectl {arguments[0]} {arguments[1]}: {lines[-1]}")
    return done.stdout


def get(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return an object or a list of objects."""
    return json.loads(ask("get", *arguments, "--output=json"))


def find(kind: str, name: str) -> dict[str, Any] | None:
    """Return an object; None when there is none of this name."""
    text = ask("get", kind, name, "--ignore-not-found", "--output=json")
    found: dict[str, Any] | None = json.loads(text) if text.strip() else None
    return found


def items(*arguments: str) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    found: list[dict[str, Any]] = get(*arguments)["items"]
    return found


def lines(stream: IO[str]) -> Iterator[str]:
    """Yield what a pod prints line by line, of an endless line the pieces."""
    return iter(lambda: stream.readline(_LINE), "")


def reason(errors: bytes) -> str:
    """Return why a command in a pod failed, from its standard error without kubectl's line."""
    lines = [
        line.removeprefix("workload: ")
        for line in errors.decode(errors="replace").splitlines()
        if line.strip() and not line.startswith(EXIT_LINE)
    ]
    return lines[-1] if lines else "the connection broke"


def in_pod(pod: str, *arguments: str) -> list[str]:
    """Return the words that run a workload command in a pod of ours."""
    return command("exec", "--stdin", pod, "--", "python", "-m", "workload", *arguments)

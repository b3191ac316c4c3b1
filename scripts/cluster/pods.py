"""Pods of the stack's template: `manifest NAME SECONDS` and `await NAME`."""

from __future__ import annotations

import copy
import json
import sys
import time
from typing import Any

from scripts.cluster import diagnostics, kube
from scripts.cluster.console import Failure, pause, run, unknown_arguments

START_SECONDS = 900
"""How long a pod may wait for a machine: Autopilot makes one when there is none."""

SETTLE_SECONDS = 15
"""How long a refusal to start must last: the first try may come before what it needs."""


def manifest(template: dict[str, Any], name: str, seconds: int) -> dict[str, Any]:
    """Return a pod that only waits for `kubectl exec`, for `seconds` at most."""
    pod: dict[str, Any] = copy.deepcopy(template["template"])
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**pod.get("metadata", {}), "name": name}
    pod["metadata"].pop("creationTimestamp", None)
    pod["spec"]["activeDeadlineSeconds"] = seconds
    [container] = pod["spec"]["containers"]
    container["command"] = ["sleep", str(seconds)]
    container.pop("args", None)
    return pod


def await_running(name: str) -> None:
    """Wait until the pod runs; raises Failure when it can't."""
    start = time.monotonic()
    since: dict[str, float] = {}
    told = False
    while True:
        pod = kube.get("pod", name)
        phase = pod.get("status", {}).get("phase")
        if phase == "Running":
            return
        if phase in ("Failed", "Succeeded"):
            raise Failure(f"pod {name} terminated before running a command")
        waited = time.monotonic() - start
        events = kube.items("events") if waited > SETTLE_SECONDS else []
        wrong = diagnostics.of_pod(pod, events)
        if wrong and "can't be scheduled" in wrong and "unbound" not in wrong:
            if not told:
                print("waiting for a machine for the pod ...", file=sys.stderr)  # noqa: T201
                told = True
        elif wrong:
            kind = wrong.split(":")[0]
            if time.monotonic() - since.setdefault(kind, time.monotonic()) >= SETTLE_SECONDS:
                raise Failure(wrong)
        if waited > START_SECONDS:
            raise Failure(wrong or f"pod {name} has not started in {START_SECONDS} s")
        pause(1)


def _main() -> None:
    match sys.argv[1:]:
        case ["manifest", name, seconds]:
            print(json.dumps(manifest(json.load(sys.stdin), name, int(seconds))))  # noqa: T201
        case ["await", name]:
            await_running(name)
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

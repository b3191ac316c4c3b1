"""The state of a run, the Job BATCH_JOB: `cluster NAMESPACE`, `status POD`, `follow POD`."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scripts.cluster import cost, diagnostics, kube
from scripts.cluster.console import Failure, Line, pause, run, unknown_arguments
from workload.errors import ExitCode
from workload.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

POLL_SECONDS = 5.0
UNREACHABLE_POLLS = 24
"""How often in a row the cluster may give no answer: two minutes."""

_ANSWER = 1 << 28
"""Bytes that a queue's state is shorter than."""

SILENT_POLLS = 2
"""How often in a row the queue may give no answer before another pod is tried."""

COMMANDS_BLOCKED = 4
"""Exit code of `cluster` for `scripts/status.sh`: no pod of a command could start either."""


def progress(queue: Mapping[str, Any]) -> str:
    """Return how far the queue is, in words."""
    work, dead = len(queue["processing"]), len(queue["dead"])
    total = queue["waiting"] + work + queue["committed"] + dead
    share = f" ({100 * queue['committed'] // total} %)" if total else ""
    left = f", {dead} left out" if dead else ""
    return (
        f"{queue['committed']} of {total} datasets learned{share}, {work} in progress, "
        f"{queue['waiting']} waiting{left}"
    )


def workers(pods: Sequence[Mapping[str, Any]]) -> str:
    """Count the Job's pods by phase."""
    phases = [pod.get("status", {}).get("phase", "Unknown").lower() for pod in pods]
    counts = {phase: phases.count(phase) for phase in dict.fromkeys(phases)}
    return ", ".join(f"{count} {phase}" for phase, count in counts.items()) or "none"


def _job() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    name = os.environ["BATCH_JOB"]
    return kube.get("job", name), kube.items("pods", f"--selector=job-name={name}")


def _queue(pod: str) -> dict[str, Any] | None:
    """Return the queue's state; None when the pod gave no answer, or none that makes sense."""
    with subprocess.Popen(  # noqa: S603 - kubectl of the operator
        kube.in_pod(pod, "queue", "status", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        answer = process.stdout.read(_ANSWER) if process.stdout else b""
        if len(answer) == _ANSWER:
            process.kill()
    if process.returncode not in (ExitCode.DONE, ExitCode.INCOMPLETE):
        return None
    with suppress(ValueError, RecursionError):
        state: dict[str, Any] = json.loads(answer)
        if _is_state(state):
            return state
    return None


def _is_state(state: object) -> bool:
    """Return whether an answer has the shape of a queue's state."""
    match state:
        case {
            "waiting": int(),
            "committed": int(),
            "processing": list(),
            "dead": list(dead),
            "head": {"dataset": str() | None},
            "halted": None | {"dataset": str(), "reason": str()},
        }:
            return all(
                isinstance(each, dict) and each.keys() >= {"dataset", "kind", "reason"}
                for each in dead
            )
    return False


def cluster(namespace: str) -> int:
    """Print workers, cost, and what is wrong with them.

    Return DONE, INCOMPLETE when something is wrong, COMMANDS_BLOCKED when nothing can query the
    queue, either.
    """
    name = os.environ["BATCH_JOB"]
    job, pods = kube.find("job", name), kube.items("pods", f"--selector=job-name={name}")
    others = kube.items("pods", "--selector=app=redis")
    now = dt.datetime.now(dt.UTC)
    since = cost.moment(kube.get("namespace", namespace)["metadata"]["creationTimestamp"])
    state = (diagnostics.ended(job) or "running") if job else "missing"
    print(printable(f"job        {name} ({state.lower()})"))  # noqa: T201
    print(printable(f"workers    {workers(pods)}"))  # noqa: T201
    rates, hours = json.loads(os.environ["BATCH_RATES"]), cost.job_hours(job or {}, now)
    print(f"cost       {cost.so_far(rates, since, hours, now)}")  # noqa: T201
    events = kube.items("events")
    claims = kube.items("persistentvolumeclaims")
    wrong = diagnostics.everything(job, [*pods, *others], claims, events)
    for line in wrong:
        print(printable(f"WRONG      {line}"))  # noqa: T201
    if diagnostics.keeps_commands_out([*pods, *others], claims, events):
        print("queue      not queried: a pod for that could not start either")  # noqa: T201
        return COMMANDS_BLOCKED
    return ExitCode.INCOMPLETE if wrong else ExitCode.DONE


def status(pod: str) -> int:
    """Print the queue and what is wrong with it; return INCOMPLETE when something is."""
    queue = _queue(pod)
    if queue is None:
        raise Failure("no answer from the queue: scripts/workload.sh queue status shows why")
    print(f"queue      {progress(queue)}")  # noqa: T201
    print(printable(f"head       {queue['head']['dataset'] or 'none'}"))  # noqa: T201
    wrong = list(diagnostics.of_queue(queue))
    for line in wrong:
        print(printable(f"WRONG      {line}"))  # noqa: T201
    return ExitCode.INCOMPLETE if wrong else ExitCode.DONE


def follow(pod: str) -> int:
    """Show progress until the Job has ended.

    Return DONE when it is complete, INCOMPLETE when it failed, HANDED_BACK when the pod went away
    and another one could resume.
    """
    line, silent, unreachable = _Display(), 0, 0
    while True:
        try:
            job, pods = _job()
        except Failure:
            unreachable += 1
            if unreachable > UNREACHABLE_POLLS:
                raise
            pause(POLL_SECONDS)
            continue
        unreachable = 0
        end, queue = diagnostics.ended(job), _queue(pod)
        if queue:
            line.progress(f"{progress(queue)}; workers: {workers(pods)}")
        line.wrong([diagnostics.of_pod(each) for each in pods])
        line.wrong(diagnostics.of_queue(queue) if queue else [])
        if end:
            return _ended(end, job, pods, queue, line)
        silent = 0 if queue else silent + 1
        if silent > SILENT_POLLS:
            return ExitCode.HANDED_BACK
        pause(POLL_SECONDS)


def _ended(
    end: str,
    job: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    queue: Mapping[str, Any] | None,
    line: _Display,
) -> int:
    name = job["metadata"]["name"]
    if end == "Failed":
        line.wrong([diagnostics.of_job(job, pods)])
        return ExitCode.INCOMPLETE
    if queue and queue["waiting"]:
        raise Failure(
            f"Job {name} has ended and {queue['waiting']} datasets wait: give it another run "
            "(scripts/train.sh --run NAME)"
        )
    line.stay(f"Job {name} is complete" + (f": {progress(queue)}" if queue else ""))
    return ExitCode.DONE


class _Display(Line):
    """Progress where it changed, and each complaint once."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""
        self._told: set[str] = set()

    def progress(self, text: str) -> None:
        """Show how far it is: over the last line on a terminal, elsewhere on one of its own."""
        if text != self._last:
            self._last = text
            (self.update if self.live else self.stay)(text)

    def wrong(self, lines: Iterable[str | None]) -> None:
        """Show what is wrong, unless it was shown already."""
        for text in lines:
            if text and text not in self._told:
                self._told.add(text)
                self.stay(f"WRONG {text}")


def _main() -> int:
    match sys.argv[1:]:
        case ["cluster", namespace]:
            return cluster(namespace)
        case ["status", pod]:
            return status(pod)
        case ["follow", pod]:
            return follow(pod)
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

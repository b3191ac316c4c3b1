"""Follows the logs of every pod of the Job BATCH_JOB, of those that start later too."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import IO

from scripts.cluster import diagnostics, kube
from scripts.cluster.console import pause, run
from workload.text import printable


def follow(*, wait: bool) -> None:
    """Print what the pods log, each line after the pod's name.

    Args:
        wait: go on until the Job has ended and every pod has had its say.
    """
    job = os.environ["BATCH_JOB"]
    readers: dict[str, tuple[threading.Thread, subprocess.Popen[str]]] = {}
    try:
        while True:
            end = diagnostics.ended(kube.get("job", job))
            for pod in kube.items("pods", f"--selector=job-name={job}"):
                name = pod["metadata"]["name"]
                phase = pod.get("status", {}).get("phase")
                if name not in readers and phase not in (None, "Pending", "Unknown"):
                    readers[name] = _start(name, wait=wait)
            if end or not wait:
                break
            pause(2)
        for thread, _ in readers.values():
            thread.join()
        if not readers:
            print("no pod of the Job has started: scripts/status.sh shows why")  # noqa: T201
    finally:
        for _, process in readers.values():
            process.terminate()


def _start(name: str, *, wait: bool) -> tuple[threading.Thread, subprocess.Popen[str]]:
    words = kube.command("logs", name, *(["--follow"] if wait else []))
    process = subprocess.Popen(  # noqa: S603 - kubectl of the operator
        words, stdout=subprocess.PIPE, text=True, errors="replace"
    )
    thread = threading.Thread(target=_copy, args=(name, process.stdout), daemon=True)
    thread.start()
    return thread, process


def _copy(name: str, stream: IO[str] | None) -> None:
    for line in kube.lines(stream) if stream else ():
        print(printable(f"{name}: {line.rstrip()}"), flush=True)  # noqa: T201


def _main() -> None:
    follow(wait=sys.argv[1:] != ["--no-follow"])


if __name__ == "__main__":
    run(_main)

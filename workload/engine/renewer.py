"""The child process that renews a worker's leases; `lease_keeper` describes its duties.

It reads one JSON object a line from standard input: first its settings, then what the worker
holds. It writes one JSON list a line: the tokens whose renewal was rejected.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import psutil
import redis

from workload.errors import WorkloadError
from workload.queue import Limits, Queue, RetryPolicy, connect

_HAND_BACK = {signal.SIGTERM, signal.SIGINT}
_STOPPED = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE}
_RETRY_SECONDS = 0.5
_NEVER = float("inf")


class _Renewer:
    """What is held, and when it is renewed next."""

    def __init__(self, queue: Queue, settings: dict[str, Any]) -> None:
        self._queue = queue
        self._settings = settings
        self._held: list[tuple[str, str]] = []
        self._progressed = time.monotonic()
        self._renew_at = _NEVER
        self._unread = b""

    def serve(self) -> None:
        """Renew until the worker says goodbye or its pipe closes."""
        signals = self._settings["signals"]
        os.set_blocking(0, False)
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(signals, selectors.EVENT_READ)
            while True:
                pause = None if self._renew_at == _NEVER else self._renew_at - time.monotonic()
                for key, _ in selector.select(None if pause is None else max(0.0, pause)):
                    content = os.read(key.fd, 65536)
                    if key.fd == signals:
                        if not content:
                            selector.unregister(signals)
                        elif _HAND_BACK.intersection(content):
                            self._queue.hand_back()
                    elif not content:
                        self._queue.report_crash()
                        return
                    elif not self._hear(content):
                        return
                if time.monotonic() >= self._renew_at:
                    self._renew()

    def _hear(self, content: bytes) -> bool:
        """Take over what the worker says it holds; False when it says goodbye."""
        *lines, self._unread = (self._unread + content).split(b"\n")
        if lines:
            message = json.loads(lines[-1])
            if "bye" in message:
                return False
            self._progressed = time.monotonic()
            self._held = [(dataset, token) for dataset, token in message["held"]]
            if not self._held:
                self._renew_at = _NEVER
            elif self._renew_at == _NEVER:
                self._renew_at = self._progressed + self._settings["renew_seconds"]
        return True

    def _renew(self) -> None:
        self._renew_at = time.monotonic() + self._settings["renew_seconds"]
        if not self._is_working():
            return
        try:
            lost = self._queue.renew(self._held)
        except (WorkloadError, redis.RedisError):
            self._renew_at = time.monotonic() + _RETRY_SECONDS
            return
        if lost:
            print(json.dumps(sorted(lost)), flush=True)  # noqa: T201 - its protocol

    def _is_working(self) -> bool:
        try:
            stopped = psutil.Process(self._settings["worker"]).status() in _STOPPED
        except psutil.Error:
            return False
        silent = time.monotonic() - self._progressed
        return not stopped and silent < self._settings["stall_seconds"]


def _first_line() -> bytes:
    """Read no further than the first line: what follows is for the selector."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit()
        line += byte
    return line


def main() -> None:
    """Serve the worker that started this process."""
    for number in _HAND_BACK:
        signal.signal(number, signal.SIG_IGN)  # the worker passes on what it gets
    settings = json.loads(_first_line())
    queue = Queue(
        connect(settings["url"], settings["password"]),
        Limits(lease_seconds=settings["lease_seconds"], crash_limit=settings["crash_limit"]),
        RetryPolicy(0.0),
        session=settings["session"],
    )
    with suppress(WorkloadError, redis.RedisError):
        _Renewer(queue, settings).serve()


if __name__ == "__main__":
    main()

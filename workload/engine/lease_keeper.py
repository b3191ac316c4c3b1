"""Keeps a worker's leases alive from a process of its own.

Training is CPU-bound and holds the interpreter for seconds at a time, so a thread of the worker
could be late with a renewal. The renewer is a small child process (`workload.engine.renewer`). It

- renews what the worker last said it holds;
- hands everything back the moment SIGTERM or SIGINT reaches the worker, even in the middle of
  compiled code: the C-level signal handler writes to its pipe;
- ends with the worker: when the pipe closes, the worker is dead and its datasets are returned;
- stops renewing for a worker that is stopped or makes no progress, so that others take over.

A process that a trainer forks holds neither pipe: the renewer's only companion is the worker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from workload.engine.processes import module_environment, python
from workload.errors import DatasetFailed, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from workload.engine.settings import Settings
    from workload.queue import Lease


@dataclass(slots=True)
class LeaseKeeper:
    """The worker's side of the renewer; a context manager.

    Args:
        settings: how to reach Redis, and the lease times.
        session: the worker's queue session.
    """

    settings: Settings
    session: str
    _held: dict[str, Lease] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _child: subprocess.Popen[bytes] | None = None
    _wakeup: int = -1

    def __enter__(self) -> Self:
        os.register_at_fork(after_in_child=self._forget)
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._say({"held": [], "bye": True})
        self._stop()  # whatever was held is committed, given up or handed back by now

    def hold(self, lease: Lease) -> None:
        """Start renewing a lease that was just claimed."""
        self._held[lease.dataset] = lease
        self.progress()

    def drop(self, lease: Lease) -> None:
        """Stop renewing a lease."""
        self._held.pop(lease.dataset, None)
        self.progress()

    def progress(self) -> None:
        """Tell the renewer that the worker moves on."""
        self._say({"held": [[lease.dataset, lease.token] for lease in self._held.values()]})

    def raise_if_lost(self, lease: Lease) -> None:
        """Note progress.

        Raises:
            LeaseLost: the renewal of `lease` was rejected.
        """
        self.progress()
        self._listen()
        if lease.token in self._lost:
            raise LeaseLost(f"{lease.dataset}: the lease was not renewed in time and is lost")

    def _start(self) -> None:
        reader, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        password = self.settings.redis_password
        self._child = subprocess.Popen(  # noqa: S603 - this package
            python("workload.engine.renewer"),
            env=module_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(reader,),
        )
        os.close(reader)
        if self._child.stdout:
            os.set_blocking(self._child.stdout.fileno(), False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._say(
            {
                "session": self.session,
                "url": self.settings.redis_url,
                "password": password.get_secret_value() if password else None,
                "lease_seconds": self.settings.lease_seconds,
                "renew_seconds": self.settings.renew_seconds,
                "stall_seconds": self.settings.stall_seconds,
                "crash_limit": self.settings.crash_limit,
                "worker": os.getpid(),
                "signals": reader,
            }
        )

    def _stop(self) -> None:
        signal.set_wakeup_fd(-1)
        if self._wakeup >= 0:
            os.close(self._wakeup)
            self._wakeup = -1
        if self._child:
            for stream in (self._child.stdin, self._child.stdout):
                if stream:
                    with suppress(OSError):
                        stream.close()
            self._child.kill()
            self._child.wait()
            self._child = None

    def _forget(self) -> None:
        """Close both pipes in a forked process, without a word to the renewer."""
        if self._wakeup >= 0:
            os.close(self._wakeup)
            self._wakeup = -1
        for stream in (self._child.stdin, self._child.stdout) if self._child else ():
            if stream:
                with suppress(OSError):
                    stream.close()
        self._child = None

    def _say(self, message: dict[str, object]) -> None:
        child = self._child
        if child is None or child.stdin is None:
            return
        try:
            child.stdin.write(json.dumps(message).encode() + b"\n")
            child.stdin.flush()
        except OSError:  # it was killed: start another, which is told what is held
            self._stop()
            if "bye" not in message:
                self._start()
                self.progress()

    def _listen(self) -> None:
        if self._child and self._child.stdout:
            while line := self._child.stdout.readline():
                self._lost.update(json.loads(line))


class LostLeases:
    """Tells a dataset whose leases are lost again and again from one that had bad luck.

    A lease that expired is counted by the queue, as a crash. Here are those that were lost although
    nothing expired and Redis answered all along, as when a trainer sends its own worker's signals.
    """

    LIMIT = 3
    """So many in a row are a failed attempt."""

    def __init__(self) -> None:
        self._lost: dict[str, tuple[int, int]] = {}

    def note(self, lease: Lease) -> None:
        """Count a lease that was lost."""
        count, _ = self._lost.get(lease.dataset, (0, 0))
        self._lost[lease.dataset] = (count + 1, lease.crashes)

    @contextmanager
    def noting(self, lease: Lease) -> Iterator[None]:
        """Count a lease that turns out to be lost, and go on."""
        try:
            yield
        except LeaseLost:
            self.note(lease)

    def clear(self) -> None:
        """Begin again: Redis was away, or went back in time."""
        self._lost.clear()

    def raise_if_repeated(self, lease: Lease) -> None:
        """Check a lease that was just claimed.

        Raises:
            DatasetFailed: the dataset's last leases were all lost here.
        """
        count, crashes = self._lost.get(lease.dataset, (0, 0))
        if lease.crashes > crashes:  # the last one expired
            count = 0
        if count == 0 or count >= self.LIMIT:
            self._lost.pop(lease.dataset, None)
        if count >= self.LIMIT:
            raise DatasetFailed(
                f"its lease was lost {count} times in a row although Redis answered: something "
                "hands it back while it is worked on, such as a trainer that signals its own worker"
            )

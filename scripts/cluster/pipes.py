"""A workload command in a pod, and both its pipes at once."""

from __future__ import annotations

import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from scripts.cluster import kube
from scripts.cluster.console import Failure
from workload.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_KEPT = 4096
"""Bytes of its standard error that are kept: the end says why."""

_SURPLUS = 1 << 16
"""Bytes that may come after the last one that was waited for."""


@contextmanager
def talking(pod: str, *arguments: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Run a workload command in a pod; yield its standard input and output.

    Raise EOFError in the body when the output ends too early.

    Raises:
        Failure: the command refused, which another try can't help.
        ConnectionError: it ended too early otherwise.
    """
    with subprocess.Popen(  # noqa: S603 - kubectl of the operator
        kube.in_pod(pod, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        sink, source, errors = process.stdin, process.stdout, process.stderr
        if sink is None or source is None or errors is None:
            raise Failure("no pipe to kubectl")
        last = _Last(errors)
        broken = False
        try:
            yield sink, source
        except (BrokenPipeError, EOFError):
            broken = True  # how it ended says why
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                sink.close()
        if len(source.read(_SURPLUS)) == _SURPLUS:
            process.kill()
            raise Failure("more came from the pod than it was asked for")
        code, reason = process.wait(), kube.reason(last.text())
    if code == ExitCode.USAGE:  # another try can't help
        raise Failure(reason, ExitCode.USAGE)
    if code or broken:
        raise ConnectionError(reason)


class _Last:
    """Reads a stream to its end, and keeps the last of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = b""
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(ValueError):  # it is closed when nobody asks why
            while chunk := self._stream.read(_KEPT):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def text(self) -> bytes:
        self._thread.join()
        return self._kept

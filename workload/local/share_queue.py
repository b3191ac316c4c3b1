"""The queue of a share on this machine: its Redis lives beside the datasets."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from shlex import quote
from typing import TYPE_CHECKING

from workload.errors import UsageError
from workload.local.redis_server import EmbeddedRedis, remove_socket
from workload.retry import retry
from workload.share.durable import write_atomic, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIRECTORY = ".redis"

_LOCK_SECONDS = 2.0
"""How long the Redis of a run that was killed may take to end."""


@contextmanager
def serve(root: Path) -> Iterator[EmbeddedRedis]:
    """Run the share's Redis while the context lasts.

    Raises:
        UsageError: another process serves it already.
    """
    with _locked(root, _LOCK_SECONDS) as lock:
        if lock is None:
            raise UsageError(
                f"{root}: another run is using this share; wait until it ends, or name another"
            )
        with _server(root, lock) as server:
            yield server


@contextmanager
def reach(root: Path) -> Iterator[str]:
    """Yield the address of the share's Redis: the running one, or one started for the moment.

    Raises:
        UsageError: there was never a run on this share.
    """
    if not (root / DIRECTORY).is_dir():
        raise UsageError(
            f"{root}: no run has used this share; start one with "
            f"`workload run --share {quote(str(root))}`"
        )
    with _locked(root, 0.0) as lock:
        if lock is not None:
            with _server(root, lock) as server:
                yield server.url
            return
        try:
            url = (root / DIRECTORY / "address").read_text("utf-8")
        except FileNotFoundError as error:
            raise UsageError(f"{root}: its Redis is starting or ending; try again") from error
        yield url


@contextmanager
def _locked(root: Path, seconds: float) -> Iterator[int | None]:
    """Yield the lock's descriptor, or None when another process holds it for `seconds`."""
    directory = root / DIRECTORY
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            retry(
                lambda _: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB),
                lambda error, _: isinstance(error, BlockingIOError),
                seconds,
                longest_pause=0.05,
            )
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


@contextmanager
def _server(root: Path, lock: int) -> Iterator[EmbeddedRedis]:
    """Run the server, which itself holds the lock too, so that no second one writes its files."""
    directory = root / DIRECTORY
    with suppress(FileNotFoundError):  # only a server that was killed leaves it
        remove_socket((directory / "address").read_text("utf-8"))
    with EmbeddedRedis(directory, inherit=(lock,)) as server:
        write_atomic(directory / "address", server.url.encode())
        try:
            yield server
        finally:
            (directory / "address").unlink(missing_ok=True)

"""The queue of a share on this machine: its Redis lives beside the datasets."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from workload.errors import UsageError, WorkloadError
from workload.local.redis_server import EmbeddedRedis, EndedAtStart, remove_socket, serves
from workload.retry import retry
from workload.share.durable import replacing, writing
from workload.text import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = ".redis"

_FILES = ("appendonlydir", "appendonly.aof")
"""Where Redis 7, Valkey and Redis 6 keep what they were told."""

_MODE = 0o700
_ADDRESS_BYTES = 4096

_LOCK_SECONDS = 2.0
"""How long the Redis of a run that was killed may take to end."""


@contextmanager
def serve(root: Path) -> Iterator[EmbeddedRedis]:
    """Run the share's Redis while the context lasts; files that it can't load are set aside.

    Raises:
        UsageError: another process serves it already, or others may have written its files.
    """
    with _locked(root, _LOCK_SECONDS) as lock:
        if lock is None:
            raise UsageError(
                f"{root}: another run is using this share; wait until it ends, or name another"
            )
        with _server(root, lock, mend=True) as server:
            yield server


@contextmanager
def reach(root: Path, *, mend: bool = False, look: bool = False) -> Iterator[str]:
    """Yield the address of the share's Redis: the running one, or one started for the moment.

    Args:
        root: of the share.
        mend: set files aside that Redis can't load; the caller makes the queue again.
        look: nothing will be changed, so that a share that can't be written will do.

    Raises:
        UsageError: there was never a run on this share, or others may have written its files.
        WorkloadError: Redis can't load its files.
    """
    _require_own(root)
    if not (root / DIRECTORY).is_dir():
        raise UsageError(
            f"{root}: no run has used this share; start one with "
            f"`workload run --share {quote(str(root))}`"
        )
    if look and not _writable(root / DIRECTORY):
        with _copy(root) as url:
            yield url
        return
    with _locked(root, 0.0) as lock:
        if lock is not None:
            with _server(root, lock, mend=mend) as server:
                yield server.url
            return
        yield _address(root)


def _require_own(root: Path) -> None:
    """Check that no one but this user may have written what Redis would load, log to or lock.

    As ssh does for its keys: files of root will do, too.

    Raises:
        UsageError: others own it or may write to it, or it is neither a file nor a directory.
    """
    directory = root / DIRECTORY
    again = f"`workload run --share {quote(str(root))}` makes the queue again from the share"
    for path in _all_below(directory):
        try:
            found = path.lstat()
        except FileNotFoundError:  # none yet, or a running Redis has removed it
            continue
        if not stat.S_ISDIR(found.st_mode) and (
            path == directory or not stat.S_ISREG(found.st_mode)
        ):
            is_link = stat.S_ISLNK(found.st_mode)
            what = f"is {'a link' if is_link else 'no plain file or directory'}"
            help_ = f"move {quote(str(directory))} away; {again}"
        elif found.st_uid not in {os.geteuid(), 0}:
            what = f"belongs to the user {found.st_uid}, not to you ({os.geteuid()})"
            help_ = f"have its owner run the command, or move {quote(str(directory))} away; {again}"
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            what = f"others may write to it (mode {stat.S_IMODE(found.st_mode):o})"
            help_ = (
                f"if none but you has, `chmod -R go-w {quote(str(directory))}`; "
                f"if in doubt, move it away: {again}"
            )
        else:
            continue
        raise UsageError(f"{path}: {what}; Redis is not started on what others wrote: {help_}")


def _all_below(directory: Path) -> Iterator[Path]:
    """Yield a directory and what is in it, at any depth; links are not followed."""
    yield directory
    for folder, names, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*names, *files))


def _address(root: Path) -> str:
    """Return the address of the share's running Redis.

    Raises:
        UsageError: there is none yet or any more, or it is another server's.
    """
    directory = root / DIRECTORY
    try:
        told = _told_address(directory)
    except FileNotFoundError as error:
        raise UsageError(f"{root}: its Redis is starting or ending; try again") from error
    if serves(told, directory):
        return told
    raise UsageError(
        f"{directory / 'address'}: names no Redis that you run for this share; try again when the "
        "run that uses the share has ended"
    )


def _told_address(directory: Path) -> str:
    with (directory / "address").open("rb") as stream:
        return stream.read(_ADDRESS_BYTES).decode("utf-8", "replace")


def _writable(directory: Path) -> bool:
    lock = directory / "lock"
    return os.access(directory, os.W_OK | os.X_OK) and (
        not lock.exists() or os.access(lock, os.R_OK | os.W_OK)
    )


def _is_served(directory: Path) -> bool:
    """Return whether a server holds the lock; False when it can't be asked."""
    try:
        with (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, PermissionError):
        pass
    return False


@contextmanager
def _copy(root: Path) -> Iterator[str]:
    """Yield the address of a Redis with a copy of the share's queue, or of the running one."""
    directory = root / DIRECTORY
    if _is_served(directory):
        yield _address(root)
        return
    with tempfile.TemporaryDirectory(prefix="workload-look-") as temporary:
        for name in _FILES:
            source, target = directory / name, Path(temporary) / name
            if source.is_dir():
                shutil.copytree(source, target, copy_function=shutil.copyfile)
                target.chmod(0o700)
            elif source.exists():
                shutil.copyfile(source, target)
        warn(f"workload: {root}: can't be written; this is a copy of its queue")
        with _started(EmbeddedRedis(Path(temporary)), root) as server:
            yield server.url


@contextmanager
def _locked(root: Path, seconds: float) -> Iterator[int | None]:
    """Yield the lock's descriptor, or None when another process holds it for `seconds`."""
    directory = root / DIRECTORY
    with writing(directory):
        with suppress(FileExistsError):
            directory.mkdir(_MODE, parents=True)
        _require_own(root)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
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
def _server(root: Path, lock: int, *, mend: bool) -> Iterator[EmbeddedRedis]:
    """Run the server, which itself holds the lock too, so that no second one writes its files."""
    directory = root / DIRECTORY
    with suppress(FileNotFoundError):  # only a server that was killed leaves it
        remove_socket(_told_address(directory), directory)
    with _started(EmbeddedRedis(directory, inherit=(lock,)), root, mend=mend) as server:
        with replacing(directory / "address") as temporary:
            temporary.touch(0o600)
            temporary.write_text(server.url, "utf-8")
        try:
            yield server
        finally:
            (directory / "address").unlink(missing_ok=True)


@contextmanager
def _started(server: EmbeddedRedis, root: Path, *, mend: bool = False) -> Iterator[EmbeddedRedis]:
    """Run a server of the share's files.

    With `mend`, files are set aside when it ends on them and starts without them.
    """
    with ExitStack() as stack:
        stack.push(server)
        try:
            server.start()
        except EndedAtStart as error:
            if not _own_files(server.directory):
                raise
            if not mend:
                raise WorkloadError(
                    f"{error}; `workload queue rebuild --share {quote(str(root))}` sets files "
                    "aside that Redis can't load, and makes the queue again from the share"
                ) from error
            _start_without_files(server, root, error)
        yield server


def _own_files(directory: Path) -> list[Path]:
    """Return the files that a server has loaded; none when the fault may be one of permissions."""
    files = [directory / name for name in _FILES if (directory / name).exists()]
    inside = [*files, *(path for each in files for path in each.rglob("*"))]
    return files if all(os.access(path, os.R_OK | os.W_OK) for path in inside) else []


def _start_without_files(server: EmbeddedRedis, root: Path, error: EndedAtStart) -> None:
    """Start a server that ended on its files again without them, and say what that costs.

    Raises:
        EndedAtStart: it is not for the files, which are where they were.
    """
    files = _own_files(server.directory)
    prefix = time.strftime("damaged-%Y-%m-%d-", time.gmtime())
    aside = Path(tempfile.mkdtemp(prefix=prefix, dir=server.directory))
    for path in files:
        path.rename(aside / path.name)
    try:
        server.start()
    except BaseException:
        for name in _FILES:  # what the second start has made
            shutil.rmtree(server.directory / name, ignore_errors=True)
            (server.directory / name).unlink(missing_ok=True)
        for path in files:
            (aside / path.name).rename(path)
        aside.rmdir()
        raise
    warn(
        f"workload: {root}: Redis could not load its files and starts without them ({error}); they "
        f"are kept in {aside}. The queue is made again from ledger, checkpoints and datasets. What "
        "only Redis knew is gone: which datasets were skipped by hand or queued from outside "
        "datasets/training, and failed attempts; skip or push those again"
    )

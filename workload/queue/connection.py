"""Connections to Redis that outlast a restart of the server, and a change of servers."""

from __future__ import annotations

import time
from functools import cache, wraps
from importlib.resources import files
from inspect import isfunction
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from hiredis import pack_command
from redis.exceptions import NoScriptError

from workload.errors import QueueUnavailable, UsageError
from workload.queue.keys import KEYS
from workload.queue.replies import MISREAD, explained, misread, one_line, passes
from workload.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MINIMUM_VERSION = (6, 2)
"""Oldest Redis with LMOVE and BLMOVE."""

_KEEPS = "noeviction"
"""The maxmemory-policy of a server that deletes no key by itself."""


class RetryPolicy:
    """Repeats a command while Redis is away, with growing pauses, up to a limit.

    Args:
        seconds: longest time without an answer.
        pause: called between tries with the seconds to wait; may raise to give up early.
        on_away: called after each failure with the error and the seconds of absence so far.
    """

    def __init__(
        self,
        seconds: float,
        pause: Callable[[float], None] = time.sleep,
        on_away: Callable[[Exception, float], None] | None = None,
    ) -> None:
        self.seconds = seconds
        self._pause = pause
        self.on_away = on_away

    def call(self, command: Callable[[bool], T]) -> T:
        """Return what `command(repeated)` returns, repeating it while Redis is away.

        Raises:
            QueueUnavailable: Redis did not answer for `seconds`.
            UsageError: Redis refused the credentials, or a setting is wrong.
            WorkloadError: Redis answered with another error.
        """
        try:
            return retry(command, self._may_pass, self.seconds, self._pause)
        except redis.RedisError as error:
            if passes(error):
                raise QueueUnavailable(
                    f"Redis has not answered for {self.seconds:.0f} s ({one_line(error)}); "
                    "nothing is lost, start again when it is back"
                ) from error
            raise explained(error) from error

    def _may_pass(self, error: Exception, away_seconds: float) -> bool:
        if not passes(error):
            return False
        if self.on_away:
            self.on_away(error, away_seconds)
        return True


class Connection:
    """One connection to a server, which keeps scripts for it.

    What `redis.Redis` does around each command, and its `register_script`, takes a third of the
    calls a second; the retries among it are the task of `RetryPolicy` here.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None
        self._digests: dict[str, str] = {}

    def close(self) -> None:
        """Disconnect; the next command connects again."""
        if self._connection is not None:
            self._connection.disconnect()
            self._pool.release(self._connection)
            self._connection = None

    @property
    def place(self) -> str:
        """Where the server is, as `host:port` or the path of its socket file."""
        settings = self._pool.connection_kwargs
        address = settings.get("host", "localhost"), settings.get("port", 6379)
        host, port = getattr(self._pool, "master_address", None) or address
        return str(settings.get("path") or f"{host}:{port}")

    def run(self, name: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a script's reply
        """Run a script by its digest; load it where the server does not know it (yet)."""
        try:
            digest = self._digests[name]
            return self.execute("EVALSHA", digest, len(KEYS), *KEYS, *arguments)
        except (KeyError, NoScriptError):
            self._digests[name] = self.execute("SCRIPT", "LOAD", script_text(name))
        return self.execute("EVALSHA", self._digests[name], len(KEYS), *KEYS, *arguments)

    def execute(self, *words: str | float) -> Any:  # noqa: ANN401 - any command's reply
        """Send a command and return the reply.

        Raises:
            redis.RedisError: it failed, for good or not.
            UsageError: what answers is no Redis, or the Sentinels know none.
        """
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
            elif not self._connection.is_connected:
                self._connection.connect()  # asks the Sentinels again; sending would not
            self._connection.send_packed_command([packed(words)])
            return self._connection.read_response()
        except BaseException as error:
            if not isinstance(error, redis.ResponseError) or passes(error):
                # no reply under way may answer the next command, and after a failover another
                # server is to be asked
                self._disconnect()
            if isinstance(error, redis.InvalidResponse):
                raise misread(error, self.place, f"to {words[0]}") from error
            raise

    def _disconnect(self) -> None:
        if self._connection is None:  # one that was greeted oddly is in the pool, half-open
            self._pool.disconnect(inuse_connections=False)
        else:
            self._connection.disconnect()


def reads_replies(queue: type[T]) -> type[T]:
    """Let the verbs of a class with a `_connection` say in one line what they can't read."""
    for name, verb in list(vars(queue).items()):
        if isfunction(verb) and not name.startswith("_"):
            setattr(queue, name, _reading(verb))
    return queue


def _reading(verb: Callable[..., T]) -> Callable[..., T]:
    @wraps(verb)
    def reading(self: Any, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - of any verb
        try:
            return verb(self, *args, **kwargs)
        except MISREAD as error:
            raise misread(error, self._connection.place, f"to `{verb.__name__}`") from error

    return reading


def check_server(answer: str) -> None:
    """Check that a server can keep the queue.

    Args:
        answer: to `INFO`.

    Raises:
        UsageError: it is older than `MINIMUM_VERSION`, a Cluster or a Sentinel, or forgets what
            it has no room for.
    """
    info = dict(line.partition(":")[::2] for line in answer.splitlines())
    mode = info.get("redis_mode", "standalone")
    if mode == "sentinel":
        raise UsageError(
            "a Sentinel answers, which keeps no queue; write redis+sentinel://HOST:PORT/SERVICE/DB "
            "to use the primary that it names"
        )
    if mode != "standalone":
        raise UsageError(
            f"Redis runs as {mode}, which keeps no queue; name the address of one server, of the "
            "primary where there are several"
        )
    version = info["redis_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise UsageError(f"Redis {version} is too old: {wanted} or newer is needed")
    policy = info.get("maxmemory_policy", _KEEPS)
    if policy != _KEEPS:
        raise UsageError(
            f"Redis has the maxmemory-policy {policy}, which may delete a queue's keys when memory "
            f"is short; set it to {_KEEPS}"
        )


def packed(words: tuple[str | float, ...]) -> bytes:
    """Return a command as it is sent; bytes of a name that are no text go back as they came."""
    try:
        return pack_command(words)  # type: ignore[arg-type,no-any-return]  # its stub allows one word
    except UnicodeEncodeError:
        encoded = tuple(
            word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word
            for word in words
        )
        return pack_command(encoded)  # type: ignore[arg-type,no-any-return]


@cache
def script_text(name: str) -> str:
    """Return the Lua source of a verb, with the shared moves it uses in front.

    The others are left out because making a function takes the server as long as a command.
    """
    folder = files("workload.queue") / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    keys, *moves = (folder / "_shared.lua").read_text("utf-8").split("\n\n")
    for move in reversed(moves):
        function = move.partition("local function ")[2].partition("(")[0]
        if f"{function}(" in text:
            text = f"{move}\n\n{text}"
    return f"{keys}\n\n{text}"

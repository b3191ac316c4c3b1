"""Connections to Redis that outlast a restart of the server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from workload.errors import QueueUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MINIMUM_VERSION = (6, 2)
"""Oldest Redis with LMOVE and BLMOVE."""

RESPONSE_SECONDS = 10.0
"""Longest wait for the reply to a command that does not block."""

_PASSING = (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError)
"""Errors that a restart or a failover causes and ends."""

_PASSING_CODES = re.compile(
    r"(?:^|-)(MISCONF|LOADING|OOM|READONLY|NOREPLICAS|MASTERDOWN|TRYAGAIN|CLUSTERDOWN|BUSY)\b"
)
"""Replies that say the server is there but can't write at the moment; Redis 6.2 wraps those of a
script's commands into a longer line."""

_CREDENTIALS = (redis.AuthenticationError, NoPermissionError)


def connect(url: str, password: str | None = None) -> redis.Redis:
    """Makes a client; nothing is sent yet.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` address.
        password: overrides the one in the address.

    Raises:
        UsageError: the address can't be parsed.
    """
    extra: dict[str, Any] = {"password": password} if password else {}
    if not url.startswith("unix:"):
        extra |= {"socket_connect_timeout": 5.0, "socket_keepalive": True}
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="surrogateescape",  # a name anyone pushed may be any bytes
            socket_timeout=RESPONSE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            **extra,
        )
    except ValueError as error:
        raise UsageError(
            f"Redis address {masked(url)!r}: {error}; write redis://HOST:PORT/DB or unix:///PATH"
        ) from None


def masked(url: str) -> str:
    """An address without its password."""
    return re.sub(r"//[^/]*@", "//***@", url)


class Patience:
    """Repeats a command while Redis is away, with growing pauses, up to a limit.

    Args:
        seconds: longest time without an answer.
        pause: called between tries with the seconds to wait; may raise to give up early.
        on_away: called before each pause with the error and the seconds of absence so far.
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
        """Runs ``command(retried)`` until it answers.

        Raises:
            QueueUnavailable: Redis did not answer for ``seconds``.
            UsageError: Redis refused the credentials.
        """
        away_since: float | None = None
        delay = 0.05
        while True:
            try:
                return command(away_since is not None)
            except _CREDENTIALS as error:
                raise UsageError(
                    f"Redis refused the credentials ({error}); set REDIS_PASSWORD to its password"
                ) from error
            except _PASSING as error:
                cause: redis.RedisError = error
            except redis.ResponseError as error:
                if str(error).startswith(("NOAUTH", "WRONGPASS")):
                    raise UsageError(
                        f"Redis wants a password ({error}); set REDIS_PASSWORD"
                    ) from error
                if not _PASSING_CODES.search(str(error)):
                    raise
                cause = error
            now = time.monotonic()
            away_since = away_since or now
            if self.on_away:
                self.on_away(cause, now - away_since)
            remaining = away_since + self.seconds - now
            if remaining <= 0:
                raise QueueUnavailable(
                    f"Redis has not answered for {self.seconds:.0f} s ({_one_line(cause)}); "
                    "nothing is lost, start again when it is back"
                ) from cause
            self._pause(min(delay, remaining))
            delay = min(delay * 2, 2.0)


def check_version(info: dict[str, object]) -> None:
    """Raises UsageError when the server is older than ``MINIMUM_VERSION``."""
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise UsageError(f"Redis {version} is too old: {wanted} or newer is needed")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""Connections to Redis that outlast a restart of the server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from workload.errors import QueueUnavailable, UsageError
from workload.retry import retry

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
    """Make a client; nothing is sent yet.

    Args:
        url: `redis://`, `rediss://` or `unix://` address.
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
    """Return an address without its password."""
    return re.sub(r"//[^/]*@", "//***@", url)


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
            UsageError: Redis refused the credentials.
        """
        try:
            return retry(command, self._may_pass, self.seconds, self._pause)
        except redis.RedisError as error:
            if _wants_credentials(error):
                raise UsageError(
                    f"Redis refused the credentials ({_one_line(error)}); "
                    "set REDIS_PASSWORD to its password"
                ) from error
            if _passes(error):
                raise QueueUnavailable(
                    f"Redis has not answered for {self.seconds:.0f} s ({_one_line(error)}); "
                    "nothing is lost, start again when it is back"
                ) from error
            raise

    def _may_pass(self, error: Exception, away_seconds: float) -> bool:
        if not _passes(error):
            return False
        if self.on_away:
            self.on_away(error, away_seconds)
        return True


def _wants_credentials(error: Exception) -> bool:
    return isinstance(error, _CREDENTIALS) or str(error).startswith(("NOAUTH", "WRONGPASS"))


def _passes(error: Exception) -> bool:
    if _wants_credentials(error):
        return False
    return isinstance(error, _PASSING) or (
        isinstance(error, redis.ResponseError) and bool(_PASSING_CODES.search(str(error)))
    )


def check_version(info: dict[str, object]) -> None:
    """Check the server's version.

    Raises:
        UsageError: it is older than `MINIMUM_VERSION`.
    """
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise UsageError(f"Redis {version} is too old: {wanted} or newer is needed")


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

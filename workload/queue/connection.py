"""Connections to Redis that outlast a restart of the server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.retry import Retry

from workload.errors import QueueUnavailable, UsageError
from workload.queue.replies import explained, one_line, passes
from workload.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MINIMUM_VERSION = (6, 2)
"""Oldest Redis with LMOVE and BLMOVE."""

_KEEPS = "noeviction"
"""The maxmemory-policy of a server that deletes no key by itself."""

RESPONSE_SECONDS = 10.0
"""Longest wait for the reply to a command that does not block."""


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
    _require_readable(url)
    try:
        client = redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="surrogateescape",  # a name anyone pushed may be any bytes
            socket_timeout=RESPONSE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            **extra,
        )
        client.connection_pool.make_connection()  # reads the options of the address; sends nothing
    except (ValueError, TypeError, redis.RedisError) as error:
        why = "" if "@" in url else f"{one_line(error)}; "
        raise UsageError(
            f"Redis address {masked(url)!r}: {why}write redis://HOST:PORT/DB or unix:///PATH, with "
            "options that redis-py knows"
        ) from None
    return client


def _require_readable(url: str) -> None:
    """Raise UsageError for an address that would be read otherwise than it is meant."""
    if url.startswith("unix:///"):  # a path, which may hold anything
        return
    authority, at, rest = url.partition("://")[2].rpartition("@")
    if at and set(authority) & set("/?#"):
        raise UsageError(
            f"Redis address {masked(url)!r}: its password holds one of / ? #; percent-encode it or "
            "use REDIS_PASSWORD"
        )
    database = rest.partition("?")[0].partition("/")[2]
    if not url.startswith("unix:") and database and not database.isdecimal():
        raise UsageError(
            f"Redis address {masked(url)!r}: {database!r} is no number of a database; write "
            "redis://HOST:PORT/DB"
        )


def masked(url: str) -> str:
    """Return an address without any part of its password."""
    without = re.sub(r"//.*@", "//***@", url, flags=re.DOTALL)
    return re.sub(r"(?i)((?:password|username)=)[^&]*", r"\1***", without)


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


def check_server(info: dict[str, object]) -> None:
    """Check that a server can keep the queue.

    Args:
        info: its answer to `INFO`.

    Raises:
        UsageError: it is older than `MINIMUM_VERSION`, a Cluster or a Sentinel, or forgets what
            it has no room for.
    """
    mode = info.get("redis_mode", "standalone")
    if mode != "standalone":
        raise UsageError(
            f"Redis runs as {mode}, which keeps no queue; name the address of one server, of the "
            "primary where there are several"
        )
    version = str(info.get("redis_version", "0"))
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

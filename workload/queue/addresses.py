"""What an address of Redis means: one server, or the primary that Sentinels name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from workload.errors import UsageError
from workload.queue.replies import MISREAD, one_line, passes, refuses_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

RESPONSE_SECONDS = 10.0
"""Longest wait for the reply to a command that does not block."""

SENTINEL_SECONDS = 2.0
"""Longest wait for a Sentinel; the next one is asked after it."""

SENTINEL_PORT = 26379

_FORM = "redis://HOST:PORT/DB or unix:///PATH"
_SENTINEL_FORM = "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB"

_NOT_OPTIONS = {
    *("connection_class", "connection_pool", "decode_responses", "encoding_errors", "host"),
    *("is_master", "min_other_sentinels", "path", "port", "retry", "sentinel_kwargs"),
    *("service_name", "ssl"),
}
"""What redis-py would take from an address although it has no use, or another type, there."""


def connect(url: str, password: str | None = None) -> redis.Redis:
    """Make a client; nothing is sent yet.

    Args:
        url: `redis://`, `rediss://` or `unix://` address of a server, or `redis+sentinel://` or
            `rediss+sentinel://` address of the Sentinels that know it.
        password: overrides the one in the address, which is the server's, not the Sentinels'.

    Raises:
        UsageError: the address can't be parsed.
    """
    scheme = url.partition("://")[0]
    settings: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # a name anyone pushed may be any bytes
        "socket_timeout": RESPONSE_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if scheme != "unix":
        settings |= {"socket_connect_timeout": 5.0, "socket_keepalive": True}
    _require_readable(url)
    secret = "@" in url or "password=" in url.lower() or "//:" in url
    try:
        if scheme in {"redis+sentinel", "rediss+sentinel"}:
            client = _of_sentinels(url, settings, password)
        else:
            settings |= _options(url) | ({"password": password} if password else {})
            client = redis.Redis.from_pool(redis.ConnectionPool(**settings))
        client.connection_pool.make_connection()  # reads the options of the address; sends nothing
    except (ValueError, TypeError, AttributeError, redis.RedisError) as error:
        said = re.sub(r".* unexpected keyword argument", "unknown option", one_line(error))
        why = "" if secret else f"{said}; "
        form = _SENTINEL_FORM if "+" in scheme else _FORM
        raise UsageError(
            f"Redis address {masked(url)!r}: {why}write {form}, with options that redis-py knows"
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
    if url.startswith(("unix:", "redis+sentinel:", "rediss+sentinel:")):
        return
    database = rest.partition("?")[0].partition("/")[2]
    if database and not database.isdecimal():
        raise UsageError(
            f"Redis address {masked(url)!r}: what follows the server is no number of a database; "
            "write redis://HOST:PORT/DB"
        )


def masked(url: str) -> str:
    """Return an address without any part of its passwords."""
    without = re.sub(r"(?is)((?:password|username)=).*", r"\1***", url)
    return re.sub(r"//(?:.*@|:.*)", "//***@", without, flags=re.DOTALL)


def _of_sentinels(url: str, settings: Mapping[str, Any], password: str | None) -> redis.Redis:
    """Return a client of the primary that the Sentinels of an address name at each connection."""

    def wrong(what: str) -> UsageError:
        return UsageError(f"Redis address {masked(url)!r}: {what}; write {_SENTINEL_FORM}")

    scheme, _, rest = url.partition("+sentinel://")
    credentials, _, rest = rest.rpartition("@")
    location, _, query = rest.partition("?")
    hosts, _, path = location.partition("/")
    service, _, database = path.partition("/")
    if not service:
        raise wrong("it names no service, as `sentinel monitor` does")
    if database and not database.isdecimal():
        raise wrong("what follows the service is no number of a database")
    sentinels = []
    for number, text in enumerate(hosts.split(","), start=1):
        try:
            parts = urlsplit(f"//{text}")
            port = SENTINEL_PORT if parts.port is None else parts.port
        except ValueError:
            raise wrong(f"Sentinel {number} has no port from 1 to 65535") from None
        if not parts.hostname or not port:
            raise wrong(f"Sentinel {number} has no {'port above 0' if parts.hostname else 'host'}")
        sentinels.append((parts.hostname, port))
    user, _, own_password = credentials.partition(":")
    options = _options(f"{scheme}://host/{database}?{query}")
    del options["host"]
    encrypts = options.pop("connection_class", None) is not None
    theirs = {
        "username": options.pop("sentinel_username", None),
        "password": options.pop("sentinel_password", None),
    }
    options = {
        **settings,
        "username": unquote(user) or None,
        "password": unquote(own_password) or None,
        **options,
        **({"password": password} if password else {}),
        "ssl": encrypts,
    }
    manager: Any = _Sentinels(  # type: ignore[no-untyped-call]
        sentinels,
        sentinel_kwargs={
            **{name: value for name, value in options.items() if name.startswith("ssl")},
            **theirs,
            "socket_timeout": SENTINEL_SECONDS,
            "decode_responses": True,
            "retry": settings["retry"],
        },
        **options,
    )
    client: redis.Redis = manager.master_for(unquote(service))
    return client


def _options(url: str) -> dict[str, Any]:
    """Return the options of a connection to one server.

    Raises:
        ValueError: one is not readable, or for programs only.
    """
    for name in parse_qs(urlsplit(url).query):
        if name in _NOT_OPTIONS:
            raise ValueError(f"{name!r} is no option of an address")
    return dict(parse_url(url))  # type: ignore[no-untyped-call]


class _Sentinels(Sentinel):
    """Sentinels of which none is asked twice on one connection, and whose errors are one line."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the primary's host and port, from the first Sentinel that sees it.

        Raises:
            MasterNotFoundError: none answers, or sees it up; that passes.
            UsageError: the Sentinels that answer refuse the credentials, or don't know it.
        """
        wrong, away = "", ""
        for sentinel in list(self.sentinels):
            settings = sentinel.connection_pool.connection_kwargs
            place = f"Sentinel {settings['host']}:{settings['port']}"
            try:
                with sentinel:
                    masters: Any = sentinel.sentinel_masters()
                master = masters.get(service_name)
                if master is None:
                    known = ", ".join(sorted(masters)[:5]) or "none"
                    wrong = f"{place} watches no service {service_name!r}, but: {known}"
                elif self.check_master_state(master, service_name):  # type: ignore[no-untyped-call]
                    self.sentinels.remove(sentinel)
                    self.sentinels.insert(0, sentinel)  # the first to be asked next time
                    return master["ip"], master["port"]
                else:
                    away = away or f"{place} sees no primary of {service_name} that is up"
            except (redis.RedisError, *MISREAD) as error:
                if refuses_credentials(error):
                    wrong = (
                        f"{place} refused the credentials ({one_line(error)}); set "
                        "sentinel_password in the address, and sentinel_username where it has users"
                    )
                elif passes(error):
                    away = away or f"{place} does not answer: {one_line(error)}"
                else:
                    wrong = (
                        f"{place} did not answer as a Sentinel does ({one_line(error)[:100]}); "
                        f"write {_SENTINEL_FORM} with the Sentinels' own addresses"
                    )
        if wrong and " sees " not in away:
            raise UsageError(wrong)
        raise MasterNotFoundError(away)

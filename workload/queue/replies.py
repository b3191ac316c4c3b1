"""What an error of Redis means: it passes, a setting is wrong, or neither."""

from __future__ import annotations

import re

import redis

from workload.errors import UsageError, WorkloadError
from workload.queue.keys import WAITING

_PASSING = (redis.ConnectionError, redis.TimeoutError)
"""Errors of the connection, which a restart or a failover causes and ends."""

_PASSING_CODES = {
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
}
"""Codes of replies of a server that is there, and can't do it at the moment. UNBLOCKED ends a
blocking command when the server changes its role."""

_REFUSED_CODES = {"NOAUTH", "WRONGPASS", "NOPERM"}

MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a reply ends with that has another shape than Redis gives it."""

_OTHERS = {
    "WRONGTYPE": (
        f"the database holds something else under a key that begins with `{WAITING}`; "
        "name another database, as in redis://HOST:PORT/1"
    ),
    "MOVED": "it is a Cluster, which keeps no queue: the keys share no hash slot; name one server",
    "CROSSSLOT": (
        "it is a Cluster, which keeps no queue: the keys share no hash slot; name one server"
    ),
}
"""What else a code tells about the settings."""

_WRAPPED = re.compile(r": -?([A-Z]{3,})\b")
"""The code that Redis 6.2 wraps into the line of an error within a script."""
_NOT_ALLOWED = "The user executing the script can't run this command"
"""What Redis 6.2 says there instead of NOPERM."""


def code_of(error: Exception) -> str:
    """Return the code that an error reply begins with, such as OOM; "" for other errors.

    The client takes the code off the text of those replies that have a class of their own.
    """
    if not isinstance(error, redis.ResponseError | redis.ConnectionError):
        return ""
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    if code in {"ERR", "Error"}:
        wrapped = _WRAPPED.findall(str(error))
        code = "NOPERM" if _NOT_ALLOWED in str(error) else wrapped[-1] if wrapped else code
    return str(code)


def passes(error: Exception) -> bool:
    """Return whether an error may be over when the command is sent again."""
    if refuses_credentials(error):
        return False
    return code_of(error) in _PASSING_CODES or isinstance(error, _PASSING)


def refuses_credentials(error: Exception) -> bool:
    """Return whether a server does not let this user in, or not do this."""
    return code_of(error) in _REFUSED_CODES or isinstance(error, redis.AuthenticationError)


def misread(error: Exception, place: str, what: str) -> UsageError:
    """Return the line for a reply that can't be read: no Redis, or not the queue's keys."""
    found = f"{type(error).__name__}: {one_line(error)[:100]}"
    return UsageError(
        f"{place} did not answer {what} as the queue's Redis does ({found}); "
        "name a Redis (rediss:// where it expects TLS) on which only the queue writes keys that "
        f"begin with `{WAITING}`"
    )


def explained(error: redis.RedisError) -> WorkloadError:
    """Return an error that does not pass as one line for the user.

    What the server says of its settings or of the user's permissions is a `UsageError`. Nothing
    here is ever the fault of a dataset.
    """
    code, text = code_of(error), one_line(error)
    if code == "NOPERM":
        return UsageError(
            f"Redis does not allow it ({text}); give the user the permissions of docs/settings.md"
        )
    if refuses_credentials(error):
        return UsageError(
            f"Redis refused the credentials ({text}); set REDIS_PASSWORD to its password, "
            "or REDIS_PASSWORD_FILE to a file that holds it"
        )
    if code in _OTHERS:
        return UsageError(f"Redis answered {code}: {_OTHERS[code]}")
    if "DB index" in text:
        return UsageError(f"Redis has no such database ({text}); name one that it has, such as /0")
    if "unknown command" in text:
        return UsageError(
            f"Redis lacks a command that the queue needs ({text}); name a server on which it is "
            "neither renamed nor forbidden; Sentinels are named as "
            "redis+sentinel://HOST:PORT/SERVICE/DB"
        )
    return WorkloadError(f"Redis answered with an error: {text}")


def one_line(error: Exception) -> str:
    """Return the text of an error on one line, or its type when it has none."""
    return " ".join(str(error).split()) or type(error).__name__

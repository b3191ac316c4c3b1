"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes.google_api.store import ApiError, Object, Store


@dataclass
class Request:
    """A request that a handler answers.

    Attributes:
        base: address of the fake.
        endpoint: host and port that a new cluster gives as its DNS endpoint.
        polls: how often an operation says that it is not done.
        failure: error that the operation of this request must end in.
    """

    store: Store
    base: str
    endpoint: str
    body: Object
    query: dict[str, str]
    polls: int = 0
    failure: str | None = None
    operations: list[str] = field(default_factory=list)

    def operation(self, name: str, pending: Object, done: Object, failed: Object) -> Object:
        """Start a long-running operation; return what the first request gets."""
        end = failed if self.failure else done
        self.store.operations[name] = {"polls": self.polls, "pending": pending, "end": end}
        self.operations.append(name)
        return pending


Handler = Callable[..., Any]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler; it gets the request and the pattern's groups."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return register


def dispatch(method: str, path: str, request: Request) -> Any:
    """Answer a request.

    Raises:
        ApiError: the answer is a refusal.
    """
    for wanted, pattern, handler in ROUTES:
        match = pattern.fullmatch(path) if wanted == method else None
        if match:
            return handler(request, *match.groups())
    raise ApiError(501, f"the fake has no {method} {path}")


def poll(store: Store, name: str) -> Object:
    """Return the state of an operation, one poll later."""
    if name not in store.operations:
        raise ApiError(404, f"operation {name} was not found")
    operation = store.operations[name]
    if operation["polls"] > 0:
        operation["polls"] -= 1
        return dict(operation["pending"])
    return dict(operation["end"])


def long_running(request: Request, parent: str, response: Object) -> Object:
    """Return an operation as most APIs word it."""
    name = f"{parent}/operations/operation-{request.store.serial()}"
    return request.operation(
        name,
        {"name": name, "done": False},
        {"name": name, "done": True, "response": response},
        {"name": name, "done": True, "error": {"code": 13, "message": request.failure}},
    )


@route("GET", r"/(?:file|artifactregistry|redis|serviceusage)/v1/((?:projects/.+/)?operations/.+)")
def _operation(request: Request, name: str) -> Object:
    return poll(request.store, name)

"""A resource as the rules see it: plain values, with a mark where one is not known yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulumi_policy.proxy import UnknownValueError


class _Unknown:
    """A value that only an update will know; no rule takes it for a violation."""

    def __repr__(self) -> str:
        return "(not known yet)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Resource:
    """What a rule needs of a resource.

    Attributes:
        type: Pulumi type token.
        properties: inputs, as plain dictionaries and lists.
        protect: whether Pulumi refuses to delete it.
    """

    type: str
    name: str
    properties: Mapping[str, Any]
    protect: bool = False

    def get(self, path: str, default: object = None) -> Any:  # noqa: ANN401 - JSON-like
        """Return the value at a dotted path; UNKNOWN when it, or one above it, is not known."""
        value: Any = self.properties
        for part in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value

    def has(self, kind: str) -> bool:
        """Return whether the type ends with `kind`, such as `core/v1:Service`."""
        return self.type.endswith(f":{kind}") or self.type == kind


def mapping(value: object) -> Mapping[str, Any]:
    """Return a value that should be an object; an empty one when it is not, or not known."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """Return what is in a value that should be a list; nothing when it is not, or not known."""
    return list(value) if isinstance(value, list | tuple) else []


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON-like
    """Return plain values from the policy SDK's, which raise when one is not known."""
    if isinstance(value, Mapping):
        return {key: _known(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_known(value, index) for index in range(len(value))]
    return value


def _known(container: Any, key: Any) -> Any:  # noqa: ANN401 - JSON-like
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN

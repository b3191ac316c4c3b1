"""The rules inside the program: what breaks one is never declared, by whichever command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from policy.pack import violations
from policy.rules.resource import UNKNOWN, Resource

SAID = 32
"""Exit code by which Pulumi's language host knows that a program has said what is wrong."""


def enforce(limits: Mapping[str, float]) -> None:
    """Check every resource that is declared from now on, in previews and updates alike.

    Args:
        limits: of the share, as `policy.pack.BUDGET_DEFAULTS`.
    """

    async def check(args: pulumi.ResourceTransformArgs) -> None:
        properties = await settled(args.props)
        resource = Resource(args.type_, args.name, properties, protect=bool(args.opts.protect))
        if found := [*violations(resource, limits)]:
            for name, violation in found:
                pulumi.log.error(f"{args.name}: {violation} (policy {name})")
            # An exception would reach the user as the trace of every call on its way.
            os._exit(SAID)

    pulumi.runtime.register_resource_transform(check)


async def settled(value: Any) -> Any:  # noqa: ANN401 - JSON-like
    """Return plain values from what a transform is given, UNKNOWN where an update will tell."""
    if isinstance(value, pulumi.Output):
        inner = await value.future(with_unknowns=True)
        known = inner is not None or await value.is_known()
        return await settled(inner) if known else UNKNOWN
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: await settled(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [await settled(item) for item in value]
    return value

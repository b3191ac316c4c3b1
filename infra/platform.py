"""What the workload stands on, wherever that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi
    import pulumi_kubernetes as kubernetes

    from infra.apis import EnabledApis
    from infra.network import Network
    from infra.share import Share


@dataclass(frozen=True)
class GoogleParts:
    """What only a stack on Google Cloud has."""

    apis: EnabledApis
    network: Network
    share: Share


@dataclass(frozen=True)
class Platform:
    """A cluster to work in and a place for its image.

    Attributes:
        provider: creates objects in the cluster.
        registry: repository that a built image is pushed to; empty keeps it on this machine.
        google: parts of a stack on Google Cloud.
        outputs: stack outputs of the platform itself.
    """

    provider: kubernetes.Provider
    registry: pulumi.Input[str]
    google: GoogleParts | None = None
    outputs: dict[str, pulumi.Output[str]] = field(default_factory=dict)

"""The namespace of the workload, with the rules that hold for every pod in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from infra.labels import kubernetes_labels

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.settings import Settings


class WorkloadNamespace(pulumi.ComponentResource):
    """A namespace that admits restricted pods only and lets none talk unless a policy says so.

    Attributes:
        name: the namespace, known once it exists.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: kubernetes.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:WorkloadNamespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        labels = kubernetes_labels(production=settings.production)
        standard = {
            f"pod-security.kubernetes.io/{mode}": "restricted"
            for mode in ("enforce", "audit", "warn")
        }
        namespace = Namespace(
            f"{name}-namespace",
            metadata={"name": settings.namespace, "labels": {**labels, **standard}},
            opts=child,
        )
        self.name = namespace.metadata.name
        NetworkPolicy(
            f"{name}-deny",
            metadata={"name": "deny-all", "namespace": self.name, "labels": labels},
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=child,
        )
        self.register_outputs({"name": self.name})

"""Rules for what pods stand on: endpoints, the share, labels, protection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra import prices
from policy.rules.resource import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policy.rules.resource import Resource

CLUSTER = "gcp:container/cluster:Cluster"
FILESTORE = "gcp:filestore/instance:Instance"
REDIS = "gcp:redis/instance:Instance"

_GOOGLE_LABELS = ("app", "stack", "environment", "managed-by")
_LABELLED = {
    CLUSTER: "resourceLabels",
    FILESTORE: "labels",
    REDIS: "labels",
    "gcp:artifactregistry/repository:Repository": "labels",
    "gcp:container/nodePool:NodePool": "nodeConfig.resourceLabels",
    "gcp:compute/disk:Disk": "labels",
    "gcp:storage/bucket:Bucket": "labels",
}
"""Google resources of this stack's kinds that take labels, and where."""

_KUBERNETES_LABELS = (
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "batch-aiml/stack",
    "batch-aiml/environment",
)


def no_public_endpoints(resource: Resource) -> Iterator[str]:
    """Refuse what is open to the world, except the IAM-guarded DNS endpoint of the cluster."""
    if resource.type == CLUSTER:
        enabled = resource.get("controlPlaneEndpointsConfig.ipEndpointsConfig.enabled", True)
        if enabled is True:
            yield "the control plane has a public address; set ipEndpointsConfig.enabled to false"
    if resource.has("core/v1:Service"):
        if resource.get("spec.type") in ("LoadBalancer", "NodePort"):
            yield f"a Service of type {resource.get('spec.type')}; use ClusterIP"
        if resource.get("spec.externalIPs") not in (None, [], UNKNOWN):
            yield "a Service with externalIPs; leave them out"
    if resource.type.startswith("kubernetes:") and resource.type.endswith((":Ingress", ":Gateway")):
        yield "a load balancer; reach the workload through kubectl instead"
    if resource.type.startswith("gcp:compute/") and resource.type.endswith("ForwardingRule"):
        yield "a load balancer; reach the workload through kubectl instead"


def managed_redis_is_guarded(resource: Resource) -> Iterator[str]:
    """Demand that managed Redis asks for a password and encrypts what goes over the network."""
    if resource.type != REDIS:
        return
    if resource.get("authEnabled") not in (True, UNKNOWN):
        yield "no password; set authEnabled to true"
    if resource.get("transitEncryptionMode") not in ("SERVER_AUTHENTICATION", UNKNOWN):
        yield "no encryption; set transitEncryptionMode to SERVER_AUTHENTICATION"


def share_within_budget(resource: Resource, config: Mapping[str, Any]) -> Iterator[str]:
    """Limit the share, by far the stack's largest cost."""
    if resource.type != FILESTORE:
        return
    capacity, tier = resource.get("fileShares.capacityGb"), resource.get("tier")
    if UNKNOWN in (capacity, tier) or capacity is None:
        return
    if capacity > config["max_capacity_gib"]:
        yield f"{capacity:.0f} GiB; at most {config['max_capacity_gib']:.0f} (max_capacity_gib)"
    rate = prices.FILESTORE_USD_PER_GIB_MONTH.get(tier)
    if rate is None:
        known = ", ".join(sorted(prices.FILESTORE_USD_PER_GIB_MONTH))
        yield f"tier {tier} has no known price; use one of {known}"
    elif capacity * rate > config["max_monthly_usd"]:
        limit = config["max_monthly_usd"]
        yield f"{capacity * rate:.0f} USD a month; at most {limit:.0f} (max_monthly_usd)"


def labelled(resource: Resource) -> Iterator[str]:
    """Demand the labels that show whose a resource is, and by which the bill is split."""
    if resource.type in _LABELLED:
        path, wanted = _LABELLED[resource.type], _GOOGLE_LABELS
    elif resource.type.startswith("kubernetes:"):
        path, wanted = "metadata.labels", _KUBERNETES_LABELS
    else:
        return
    labels = resource.get(path) or {}
    if labels is UNKNOWN:
        return
    if missing := [label for label in wanted if label not in labels]:
        yield f"{path} without {', '.join(missing)}; see infra/labels.py"


def production_is_protected(resource: Resource) -> Iterator[str]:
    """Demand protection of what a stack marked as production can't get back."""
    path = {CLUSTER: "resourceLabels", FILESTORE: "labels"}.get(resource.type)
    if path is None or resource.get(f"{path}.environment") != "production":
        return
    if not resource.protect:
        yield "production without protect; run `pulumi config set protect true`"
    if resource.type == CLUSTER and resource.get("deletionProtection", True) is False:
        yield "production without deletionProtection; run `pulumi config set protect true`"

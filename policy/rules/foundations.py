"""Rules for what pods stand on: endpoints, identities, the share, labels, protection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infra import prices
from policy.rules.resource import UNKNOWN, items, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policy.rules.resource import Resource

CLUSTER = "gcp:container/cluster:Cluster"
FILESTORE = "gcp:filestore/instance:Instance"
REDIS = "gcp:redis/instance:Instance"

_ONE_ADDRESS = re.compile(r"[0-9.]+/32")
_DRIVER = "filestore.csi.storage.gke.io"
_VOLUME = {
    "accessModes",
    "capacity",
    "claimRef",
    "csi",
    "hostPath",
    "mountOptions",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
}
_OF_THE_NODE = {
    *("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr"),
    *("var/lib", "var/run"),
}
"""Directories that make whoever may write to them the node's master."""

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
        if enabled not in (False, UNKNOWN):
            yield "the control plane has a public address; set ipEndpointsConfig.enabled to false"
    if resource.has("core/v1:Service"):
        if resource.get("spec.type") not in (None, "ClusterIP", UNKNOWN):
            yield f"a Service of type {resource.get('spec.type')}; use ClusterIP"
        if resource.get("spec.externalIPs") not in (None, [], UNKNOWN):
            yield "a Service with externalIPs; leave them out"
    if resource.has("networking.k8s.io/v1:NetworkPolicy"):
        for direction, field in (("ingress", "from"), ("egress", "to")):
            for rule in map(mapping, items(resource.get(f"spec.{direction}"))):
                yield from _peers(direction, rule.get(field))


def _peers(direction: str, peers: object) -> Iterator[str]:
    if peers is UNKNOWN:
        return
    if not peers:
        yield f"{direction} from or to everywhere; name the pods"
    for peer in map(mapping, items(peers)):
        cidr = mapping(peer.get("ipBlock")).get("cidr", UNKNOWN)
        if cidr is not UNKNOWN and not _ONE_ADDRESS.fullmatch(str(cidr)):
            yield f"{direction} of the addresses {cidr}; name pods, or one address as ADDRESS/32"
        namespaces = peer.get("namespaceSelector")
        if namespaces is not None and namespaces is not UNKNOWN and not mapping(namespaces):
            yield f"{direction} of every namespace; name the namespace"


def no_identity_for_pods(resource: Resource) -> Iterator[str]:
    """Refuse what lets a pod act on the cluster or on Google Cloud."""
    if not resource.has("core/v1:ServiceAccount"):
        return
    if resource.get("automountServiceAccountToken") not in (False, UNKNOWN):
        yield "pods get a token of the API; set automountServiceAccountToken to false"
    for name in mapping(resource.get("metadata.annotations")):
        if name.startswith("iam.gke.io/"):
            yield f"annotation {name} gives pods an identity on Google Cloud; leave it out"


def volumes_of_the_share_only(resource: Resource) -> Iterator[str]:
    """Refuse volumes of other sources than the share's, and those of the node's own directories."""
    if not resource.has("core/v1:PersistentVolume"):
        return
    spec = mapping(resource.get("spec"))
    for field in spec.keys() - _VOLUME:
        if spec[field] not in (None, UNKNOWN):
            yield f"spec.{field} is no field of the share's volume; leave it out"
    driver = resource.get("spec.csi.driver", _DRIVER)
    if driver not in (_DRIVER, UNKNOWN):
        yield f"a volume of the driver {driver}; use {_DRIVER}"
    path = resource.get("spec.hostPath.path")
    if isinstance(path, str) and _of_the_node(path):
        yield f"the directory {path} is the node's own; use another, such as /srv/batch-aiml"


def _of_the_node(path: str) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return (
        ".." in parts
        or not {parts[0] if parts else "", "/".join(parts[:2])}.isdisjoint(_OF_THE_NODE)
        or parts in ([], ["home"], ["root"], ["var"])
    )


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

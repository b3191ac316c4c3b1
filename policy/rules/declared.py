"""What the stack declares at all: anything else is refused, whatever it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from policy.rules.resource import UNKNOWN, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.rules.resource import Resource

TYPES = frozenset(
    f"{package}:{name}"
    for package, names in {
        "batch-aiml:index": (
            "ClusterRedis",
            "CommandTemplate",
            "EnabledApis",
            "ExistingCluster",
            "GkeCluster",
            "ImageRepository",
            "ManagedRedis",
            "Network",
            "NodeIdentity",
            "Share",
            "ShareVolume",
            "TrainingJob",
            "WorkloadImage",
            "WorkloadNamespace",
        ),
        "docker-build:index": ("Image",),
        "gcp": (
            "artifactregistry/repository:Repository",
            "artifactregistry/repositoryIamMember:RepositoryIamMember",
            "compute/network:Network",
            "compute/router:Router",
            "compute/routerNat:RouterNat",
            "compute/subnetwork:Subnetwork",
            "container/cluster:Cluster",
            "container/nodePool:NodePool",
            "filestore/instance:Instance",
            "projects/iAMMember:IAMMember",
            "projects/service:Service",
            "redis/instance:Instance",
            "serviceaccount/account:Account",
        ),
        "kubernetes": (
            "apps/v1:StatefulSet",
            "batch/v1:Job",
            "core/v1:Namespace",
            "core/v1:PersistentVolume",
            "core/v1:PersistentVolumeClaim",
            "core/v1:PodTemplate",
            "core/v1:Secret",
            "core/v1:Service",
            "core/v1:ServiceAccount",
            "networking.k8s.io/v1:NetworkPolicy",
        ),
        "pulumi:providers": ("kubernetes",),
        "random:index/randomPassword": ("RandomPassword",),
    }.items()
    for name in names
)
"""Every type that a stack of this program declares, components and the cluster's provider too."""

_ROLES = {
    "gcp:projects/iAMMember:IAMMember": "roles/container.defaultNodeServiceAccount",
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": "roles/artifactregistry.reader",
}
"""The one role that each kind of binding gives."""

_NODES = re.compile(r"serviceAccount:[^@\s]+@[a-z0-9.:-]+\.iam\.gserviceaccount\.com")
"""A service account, as whom the nodes work; no person, no group, not everybody."""

_OWN_NAMESPACES = re.compile(r"default|kube-.*|gke-.*|gmp-.*")
"""Namespaces of Kubernetes and GKE themselves, which admit pods of any kind."""

_STANDARD = "pod-security.kubernetes.io"


def declared_types_only(resource: Resource) -> Iterator[str]:
    """Refuse types that are not the stack's, and objects that are not of their type's kind."""
    if resource.type not in TYPES:
        yield f"{resource.type} is no type of this stack; policy/rules/declared.py lists them all"
        return
    if not resource.type.startswith("kubernetes:"):
        return
    version, kind = resource.type.removeprefix("kubernetes:").split(":")
    for field, wanted in (("apiVersion", version.removeprefix("core/")), ("kind", kind)):
        if resource.get(field, wanted) not in (wanted, UNKNOWN):
            yield f"{field} is {resource.get(field)} in a {resource.type}; leave it out"


def declared_bindings_only(resource: Resource) -> Iterator[str]:
    """Let nodes have the roles that they need: no other role, nobody else."""
    if resource.type not in _ROLES:
        return
    role, member = resource.get("role"), resource.get("member")
    if role not in (_ROLES[resource.type], UNKNOWN):
        yield f"gives {role}; only {_ROLES[resource.type]} may be given"
    if member is not UNKNOWN and not _NODES.fullmatch(str(member)):
        yield f"gives a role to {member}; only the nodes' service account may have one"


def restricted_namespaces(resource: Resource) -> Iterator[str]:
    """Demand that every namespace enforces the restricted standard, and that all is in one."""
    if not resource.type.startswith("kubernetes:"):
        return
    if resource.has("core/v1:Namespace"):
        labels = resource.get("metadata.labels")
        for mode in ("enforce", "audit", "warn") if labels is not UNKNOWN else ():
            label = f"{_STANDARD}/{mode}"
            if mapping(labels).get(label) not in ("restricted", UNKNOWN):
                yield f"the namespace is without {label}; set the label to restricted"
            if mapping(labels).get(f"{label}-version") not in (None, "latest", UNKNOWN):
                yield f"{label}-version is an older standard; leave the label out"
    elif not resource.has("core/v1:PersistentVolume"):
        namespace = resource.get("metadata.namespace") or "default"
        if namespace is not UNKNOWN and _OWN_NAMESPACES.fullmatch(str(namespace)):
            yield f"namespace {namespace} is not the stack's; take that of WorkloadNamespace"

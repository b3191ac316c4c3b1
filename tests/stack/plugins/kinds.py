"""The kinds of Kubernetes objects that the stack uses, and what of them can't change.

The immutable fields are those that pulumi-kubernetes replaces an object for
(`provider/pkg/provider/diff.go`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Where objects of a kind are and which of their fields can't be changed.

    Attributes:
        api: path prefix of the API group.
        plural: name of the collection.
        namespaced: whether objects belong to a namespace.
        immutable: dotted prefixes of fields that need a new object.
    """

    api: str
    plural: str
    namespaced: bool = True
    immutable: tuple[str, ...] = ()

    def path(self, namespace: str | None, name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        inside = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.api}{inside}/{self.plural}" + (f"/{name}" if name else "")


IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")

KINDS = {
    "kubernetes:core/v1:Namespace": Kind("/api/v1", "namespaces", namespaced=False),
    "kubernetes:core/v1:PersistentVolume": Kind(
        "/api/v1", "persistentvolumes", namespaced=False, immutable=("spec.csi", "spec.hostPath")
    ),
    "kubernetes:core/v1:PersistentVolumeClaim": Kind(
        "/api/v1",
        "persistentvolumeclaims",
        immutable=(
            "spec.accessModes",
            "spec.selector",
            "spec.storageClassName",
            "spec.volumeName",
        ),
    ),
    "kubernetes:core/v1:PodTemplate": Kind("/api/v1", "podtemplates"),
    "kubernetes:core/v1:Secret": Kind("/api/v1", "secrets", immutable=("type",)),
    "kubernetes:core/v1:Service": Kind("/api/v1", "services", immutable=("spec.clusterIP",)),
    "kubernetes:core/v1:ServiceAccount": Kind("/api/v1", "serviceaccounts"),
    "kubernetes:core/v1:ConfigMap": Kind("/api/v1", "configmaps"),
    "kubernetes:apps/v1:StatefulSet": Kind(
        "/apis/apps/v1",
        "statefulsets",
        immutable=(
            "spec.podManagementPolicy",
            "spec.revisionHistoryLimit",
            "spec.selector",
            "spec.serviceName",
            "spec.volumeClaimTemplates",
        ),
    ),
    "kubernetes:batch/v1:Job": Kind(
        "/apis/batch/v1",
        "jobs",
        immutable=("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ),
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": Kind(
        "/apis/networking.k8s.io/v1", "networkpolicies"
    ),
}

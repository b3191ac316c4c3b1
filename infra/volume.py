"""The share as Kubernetes sees it: PersistentVolume `fileserver` and its claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.core.v1 import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgsDict,
    PersistentVolumeSpecArgsDict,
)

from infra.labels import kubernetes_labels

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.settings import Settings
    from infra.share import Share

VOLUME = "fileserver"
CLAIM = "fileserver-claim"
MOUNT = "/mnt/fileserver"
"""Where every pod mounts the share."""


class ShareVolume(pulumi.ComponentResource):
    """Volume and claim of the share: Filestore's, a host directory's, or a StorageClass's.

    Attributes:
        claim: name of the claim, known once it exists.
    """

    claim: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: kubernetes.Provider,
        namespace: pulumi.Output[str],
        share: Share | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:ShareVolume", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        labels = kubernetes_labels(production=settings.production)
        volume = None
        if share is not None or not settings.share_storage_class:
            volume = PersistentVolume(
                f"{name}-volume",
                metadata={"name": VOLUME, "labels": labels},
                spec={
                    "capacity": {"storage": settings.share_claim_size},
                    "access_modes": ["ReadWriteMany"],
                    "storage_class_name": "",
                    "persistent_volume_reclaim_policy": "Retain",
                    # Kept for this claim: another claim of the cluster could otherwise take it.
                    "claim_ref": {"name": CLAIM, "namespace": namespace},
                    **_source(settings, share),
                },
                opts=child,
            )
        wanted: PersistentVolumeClaimSpecArgsDict = {
            "access_modes": ["ReadWriteMany"],
            "storage_class_name": "" if volume else settings.share_storage_class,
            "resources": {"requests": {"storage": settings.share_claim_size}},
        }
        # A null would differ from the volume that a class provides, and replace the claim.
        if volume:
            wanted["volume_name"] = volume.metadata.name
        claim = PersistentVolumeClaim(
            f"{name}-claim",
            metadata={"name": CLAIM, "namespace": namespace, "labels": labels},
            spec=wanted,
            opts=child,
        )
        self.claim = claim.metadata.name
        self.register_outputs({"claim": self.claim})


def _source(settings: Settings, share: Share | None) -> PersistentVolumeSpecArgsDict:
    if share is None:
        return {"host_path": {"path": settings.share_host_path, "type": "Directory"}}
    return {
        # The share belongs to root; unlike an nfs volume, the driver honours the pods' fsGroup.
        "csi": {
            "driver": "filestore.csi.storage.gke.io",
            "volume_handle": share.volume_handle,
            "volume_attributes": {"ip": share.ip, "volume": settings.filestore_share},
        },
        # A file that another node has just made must not stay invisible.
        "mount_options": ["lookupcache=positive"],
    }

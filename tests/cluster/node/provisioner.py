"""Storage class `standard-rwo`, as far as one node goes: a directory for each claim.

As on GKE the class is the default one, and binds a claim only when a pod that uses it has been
given a node. A claim's volume is of kind `local`, whose files the kubelet gives to the pod's
fsGroup, like those of a disk.
"""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from pathlib import Path

    from apiserver import ControlPlane

STORAGE_CLASS = "standard-rwo"
PROVISIONER = "pd.csi.storage.gke.io"

_POLL_SECONDS = 0.2
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"


def storage_class() -> dict[str, Any]:
    """Return the class as GKE declares it, without a disk that could grow."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }


class Provisioner:
    """A thread that makes and removes the volumes of the class.

    Args:
        api: where claims come from.
        directory: holds a directory for each volume.
    """

    def __init__(self, api: ControlPlane, directory: Path) -> None:
        self._api = api
        self._directory = directory
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="provisioner", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            try:
                self._provision()
                self._reclaim()
            except requests.RequestException:  # the API server restarts; the next round repeats it
                continue

    def _provision(self) -> None:
        for claim in self._list(_CLAIMS):
            metadata, spec = claim["metadata"], claim["spec"]
            node = metadata.get("annotations", {}).get(_SELECTED_NODE)
            if (
                node
                and spec.get("storageClassName") == STORAGE_CLASS
                and not spec.get("volumeName")
            ):
                self._create(claim, node)

    def _create(self, claim: dict[str, Any], node: str) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{metadata['uid']}"
        path = self._directory / name
        path.mkdir(parents=True, exist_ok=True)
        on_the_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        created = self._api.request(
            "POST",
            _VOLUMES,
            {
                "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
                "spec": {
                    "accessModes": spec["accessModes"],
                    "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                    "claimRef": {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        **{key: metadata[key] for key in ("name", "namespace", "uid")},
                    },
                    "local": {"path": str(path)},
                    "nodeAffinity": {
                        "required": {"nodeSelectorTerms": [{"matchExpressions": [on_the_node]}]}
                    },
                    "persistentVolumeReclaimPolicy": "Delete",
                    "storageClassName": STORAGE_CLASS,
                },
            },
        )
        if (
            created.status_code != requests.codes.conflict
        ):  # made in an earlier round, not bound yet
            created.raise_for_status()

    def _reclaim(self) -> None:
        for volume in self._list(_VOLUMES):
            metadata = volume["metadata"]
            ours = metadata.get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
            if ours and volume["status"].get("phase") == "Released":
                shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
                self._api.request("DELETE", f"{_VOLUMES}/{metadata['name']}")

    def _list(self, path: str) -> list[dict[str, Any]]:
        response = self._api.request("GET", path)
        response.raise_for_status()
        items: list[dict[str, Any]] = response.json()["items"]
        return items

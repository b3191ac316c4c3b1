"""The node does what the stack counts on: shares, disks, names, Services, and no privileges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from node.kubernetes_node import LABELS, SHARE_DRIVER
from node.manifests import restricted_pod
from node.network import NAME
from node.provisioner import STORAGE_CLASS
from node.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.kubernetes_node import Node
    from node.pods import Pods

IP, SHARE = "10.1.2.2", "NFSVol"
NAMESPACE = "smoke"
USER, REDIS_USER, REDIS_GROUP = 10001, 999, 1000

_NOTE = """
import os, pathlib, socket
pathlib.Path("/mnt/fileserver/note").write_text("written")
pathlib.Path("/disk/note").write_text("written")
try:
    pathlib.Path("/note").write_text("written")
except OSError as error:
    assert error.errno == 30, error
else:
    raise SystemExit("the root file system can be written to")
redis = socket.create_connection(("redis", 6379), timeout=10)
redis.sendall(b"PING\\r\\n")
print(os.getuid(), os.getgid(), redis.recv(64))
"""


@pytest.fixture(scope="module")
def pods(node: Node) -> Iterator[Pods]:
    """Yield a namespace where nothing but restricted pods may run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    node.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        }
    )
    yield node.pods(NAMESPACE)
    node.api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}").raise_for_status()
    for volume in node.names("persistentvolumes"):
        if not volume.startswith("pvc-"):  # those go with their claims, and their disks with them
            node.api.request("DELETE", f"/api/v1/persistentvolumes/{volume}")
    until("no volume is left", lambda: not node.names("persistentvolumes"))


@pytest.fixture(scope="module")
def redis(node: Node, pods: Pods) -> dict[str, Any]:
    """Return a Redis that is ready, with its disk and its Service."""
    node.apply(_claim("redis-data", STORAGE_CLASS), _service("redis", 6379))
    pods.create(
        restricted_pod(
            "redis",
            node.images.redis.reference,
            (REDIS_USER, REDIS_GROUP),
            {"redis-data": "/data"},
            command=[
                *("redis-server", "--dir", "/data", "--appendonly", "yes"),
                *("--bind", "*", "--protected-mode", "no"),
            ],
        )
    )
    return pods.until_ready("redis")


def test_node_is_ready_labelled_and_large_enough_for_the_stack(node: Node) -> None:
    found = node.api.request("GET", f"/api/v1/nodes/{NAME}").json()
    assert node.ready()
    assert found["metadata"]["labels"].items() >= LABELS.items()
    allocatable = found["status"]["allocatable"]
    assert float(allocatable["cpu"]) >= 1.5
    assert int(allocatable["memory"].removesuffix("Ki")) >= 3.5 * 2**20
    assert int(allocatable["ephemeral-storage"]) >= 5 * 2**30


def test_restricted_pod_uses_share_disk_names_and_service(
    node: Node, pods: Pods, redis: dict[str, Any]
) -> None:
    share = node.export(IP, SHARE)
    _bind_share(node, "share", IP, SHARE)
    node.apply(_claim("disk"))
    pods.create(
        restricted_pod(
            "worker",
            node.images.workload.reference,
            (USER, USER),
            {"share": "/mnt/fileserver", "disk": "/disk"},
            command=["python", "-c", _NOTE],
        )
    )
    pods.until_phase("worker", "Succeeded")
    assert pods.logs("worker").split() == [str(USER), str(USER), "b'+PONG\\r\\n'"]
    note = share / "note"
    assert note.read_text() == "written"
    assert (note.stat().st_uid, share.stat().st_gid) == (USER, USER)


def test_disk_goes_with_its_claim(node: Node, pods: Pods) -> None:
    node.apply(_claim("short"))
    image = node.images.redis.reference
    pods.create(restricted_pod("short", image, (USER, USER), {"short": "/disk"}, ["true"]))
    pods.until_phase("short", "Succeeded")
    path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/short"
    volume = (
        f"/api/v1/persistentvolumes/{node.api.request('GET', path).json()['spec']['volumeName']}"
    )
    directory = node.api.request("GET", volume).json()["spec"]["local"]["path"]
    assert Path(directory).is_dir()
    pods.delete("short")
    node.api.request("DELETE", path).raise_for_status()
    until("the volume is gone", lambda: node.api.request("GET", volume).status_code == 404)
    assert not Path(directory).exists()


@pytest.mark.parametrize(
    ("name", "ip", "volume", "refusal"),
    [
        ("no-address", "", SHARE, "is no address"),
        ("other-share", IP, "other", "access denied by server"),
        ("other-address", "10.1.2.3", SHARE, "Connection timed out"),
    ],
)
def test_share_that_no_instance_exports_is_not_mounted(
    node: Node, pods: Pods, name: str, ip: str, volume: str, refusal: str
) -> None:
    node.export(IP, SHARE)
    _bind_share(node, name, ip, volume)
    image = node.images.workload.reference
    pods.create(restricted_pod(name, image, (USER, USER), {name: "/mnt"}, ["true"]))
    until("the mount is refused", lambda: any(refusal in event for event in pods.events(name)))
    pods.delete(name, grace_seconds=0)
    pods.until_gone(name)


def test_workload_image_has_the_command_line(node: Node, pods: Pods) -> None:
    image = node.images.workload.reference
    pods.create(restricted_pod("help", image, (USER, USER), {}, args=["--help"]))
    pods.until_phase("help", "Succeeded")
    assert "Usage: workload" in pods.logs("help")


def test_killed_and_evicted_pods_end_as_they_would_on_a_cluster(
    node: Node, pods: Pods, redis: dict[str, Any]
) -> None:
    command = ["sleep", "600"]
    for name in ("killed", "evicted"):
        pods.create(restricted_pod(name, node.images.redis.reference, (USER, USER), {}, command))
    pods.until_ready("killed")
    pods.kill("killed")
    [container] = pods.until_phase("killed", "Failed")["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 137
    pods.until_ready("evicted")
    pods.evict("evicted")
    pods.until_gone("evicted")
    assert pods.execute("redis", "redis-cli", "ping").text.strip() == "PONG"


def test_lost_node_is_noticed_and_comes_back(node: Node, pods: Pods, redis: dict[str, Any]) -> None:
    with node.lost():
        node.until_lost()
    node.until_ready()
    pods.create(restricted_pod("after", node.images.redis.reference, (USER, USER), {}, ["true"]))
    pods.until_phase("after", "Succeeded")


def _claim(name: str, storage_class: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **({} if storage_class is None else {"storageClassName": storage_class}),
        },
    }


def _bind_share(node: Node, name: str, ip: str, share: str) -> None:
    """Make volume and claim, and wait until they are bound.

    The scheduler may miss that, when the pod is there before: then it tries again minutes later.
    """
    node.apply(_share_volume(name, ip, share), _share_claim(name))
    claim = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{name}"
    until(
        "the claim is bound",
        lambda: node.api.request("GET", claim).json()["status"].get("phase") == "Bound",
    )


def _share_volume(name: str, ip: str, share: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "mountOptions": ["lookupcache=positive"],
            "claimRef": {"name": name, "namespace": NAMESPACE},
            "csi": {
                "driver": SHARE_DRIVER,
                "volumeHandle": f"modeInstance/us-central1-b/{name}/{share}",
                "volumeAttributes": {"ip": ip, "volume": share},
            },
        },
    }


def _share_claim(name: str) -> dict[str, Any]:
    claim = _claim(name, "")
    claim["spec"] |= {"accessModes": ["ReadWriteMany"], "volumeName": name}
    return claim


def _service(name: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }

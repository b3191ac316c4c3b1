"""`pulumi destroy` leaves nothing of a stack behind, whatever it has been through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from journeys.rehearsed import NAMESPACE
from node.waiting import until

if TYPE_CHECKING:
    from fakes.google_api.server import FakeGoogle
    from journeys.rehearsed import Rehearsal
    from node.kubernetes_node import Node

KINDS = ("persistentvolumes", "persistentvolumeclaims", "pods", "jobs", "statefulsets", "services")
KUBERNETES = {"services": ["kubernetes"]}
"""What a cluster has of its own."""


@pytest.fixture(scope="module")
def destroyed(dev: Rehearsal) -> Rehearsal:
    """Return the dev stack after `pulumi destroy`."""
    dev.stack.run("destroy", "--yes", "--skip-preview").ok()
    return dev


def test_no_object_is_left_in_the_cluster(destroyed: Rehearsal) -> None:
    left = {kind: destroyed.node.names(kind) for kind in KINDS}
    assert {kind: names for kind, names in left.items() if names != KUBERNETES.get(kind, [])} == {}
    assert NAMESPACE not in destroyed.node.names("namespaces")


def test_nothing_is_left_on_google(destroyed: Rehearsal, google: FakeGoogle) -> None:
    assert [name for name, v in google.objects().items() if v.get("bindings") != []] == []


def test_no_container_mount_or_disk_is_left_on_the_node(destroyed: Rehearsal) -> None:
    node = destroyed.node
    until("all containers are gone", lambda: not node.runtime.containers())
    until("their processes are gone", lambda: not _shims(), story=_shims)
    until("their mounts are gone", lambda: not _mounts(node), story=lambda: _mounts(node))
    assert node.disks() == []


def _shims() -> list[str]:
    """Return the processes between the runtime and a container, which outlive neither."""
    names = (process.info["name"] for process in psutil.process_iter(["name"]))
    return [name for name in names if name.startswith("containerd-shim")]


def _mounts(node: Node) -> list[str]:
    """Return the mounts that the kubelet made for pods."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if str(node.kubelet_pods) in line]

"""The alternatives to the dev stack's choices come up, settle and go away just the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stack_under_test import StackUnderTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apiserver import ControlPlane
    from fakes.google_api.server import FakeGoogle

PODS = "/api/v1/namespaces/batch-aiml/pods"


def _up_and_settled(stack: StackUnderTest) -> None:
    stack.run("preview").ok()
    stack.up("--skip-preview").ok()
    stack.run("preview", "--refresh", "--expect-no-changes").ok()


def test_a_standard_cluster_in_a_new_network_with_managed_redis(
    stack: StackUnderTest, google: FakeGoogle
) -> None:
    stack.configure(
        {
            "cluster": "standard",
            "network": "new",
            "redis_mode": "memorystore",
            "filestore_reserved_ip_range": "10.90.0.0/29",
        }
    )
    _up_and_settled(stack)
    kinds = [name.split("/")[-2] for name in google.objects() if not name.endswith("iamPolicy")]
    assert sorted(kinds) == [
        "clusters",
        "instances",
        "instances",
        "networks",
        "nodePools",
        "nodePools",
        "repositories",
        "routers",
        "serviceAccounts",
        "subnetworks",
    ]
    assert stack.output("filestore_ip") == "10.90.0.2"
    assert stack.output("redis_service") == "10.1.3.3:6378"
    assert "managed-redis-password" not in str(stack.state())
    stack.run("destroy", "--yes", "--skip-preview").ok()
    assert {n for n, v in google.objects().items() if v.get("bindings") != []} == set()


@pytest.fixture
def local(
    binaries: Path,
    google: FakeGoogle,
    control_plane: ControlPlane,
    python: Sequence[str],
    tmp_path: Path,
) -> StackUnderTest:
    """Return the local stack on the cluster of a kubeconfig."""
    return StackUnderTest(tmp_path, binaries, google, control_plane, "local", python)


def test_the_local_stack_needs_a_kubeconfig_and_nothing_else(
    local: StackUnderTest, google: FakeGoogle, control_plane: ControlPlane
) -> None:
    before = google.objects()
    local.configure({"parallelism": 3})
    _up_and_settled(local)
    volume = control_plane.request("GET", "/api/v1/persistentvolumes/fileserver").json()
    assert volume["spec"]["hostPath"]["path"] == "/srv/batch-aiml"
    workers = control_plane.request("GET", f"{PODS}?labelSelector=app=workload").json()["items"]
    assert len(workers) == 3
    assert google.objects() == before
    local.run("destroy", "--yes", "--skip-preview").ok()
    assert not control_plane.request("GET", "/api/v1/namespaces/batch-aiml").ok


def test_another_directory_as_the_share_moves_volume_claim_and_job(
    local: StackUnderTest, control_plane: ControlPlane
) -> None:
    local.up("--skip-preview").ok()
    local.configure({"share_host_path": "/srv/another"})
    replaced = {step.name for step in local.plan() if step.operation == "replace"}
    assert replaced == {"share-volume-volume", "share-volume-claim", "training-job"}
    local.up("--skip-preview").ok()
    volume = control_plane.request("GET", "/api/v1/persistentvolumes/fileserver").json()
    assert volume["spec"]["hostPath"]["path"] == "/srv/another"
    local.run("destroy", "--yes", "--skip-preview").ok()


def test_a_namespace_of_someone_else_is_not_taken_over(
    local: StackUnderTest, control_plane: ControlPlane
) -> None:
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "batch-aiml"}}
    control_plane.request("POST", "/api/v1/namespaces", theirs).raise_for_status()
    result = local.up("--skip-preview")
    assert result.code != 0
    assert any("namespaces 'batch-aiml' already exists" in error for error in result.errors)
    local.run("destroy", "--yes", "--skip-preview").ok()
    assert control_plane.request("GET", "/api/v1/namespaces/batch-aiml").ok

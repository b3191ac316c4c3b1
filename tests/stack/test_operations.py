"""On a stack that is up operators' pods run, and what is changed behind its back is put right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from stack_under_test import FIXED_NAMES

from scripts.cluster.outputs import assignments
from scripts.cluster.pods import manifest

if TYPE_CHECKING:
    from apiserver import ControlPlane
    from fakes.google_api.server import FakeGoogle
    from stack_under_test import Result, StackUnderTest

SHARE, ACCOUNT = FIXED_NAMES["share-filestore"], FIXED_NAMES["nodes-account"]
NAMESPACE = "/api/v1/namespaces/batch-aiml"
SERVICE = f"{NAMESPACE}/services/redis"
POLICY = "/apis/networking.k8s.io/v1/namespaces/batch-aiml/networkpolicies/redis"


def test_a_pod_of_the_template_is_admitted_under_the_restricted_standard(
    deployed: StackUnderTest, control_plane: ControlPlane
) -> None:
    template = control_plane.request("GET", f"{NAMESPACE}/podtemplates/workload-command").json()
    pod = manifest(template, "command-1", 60)
    made = control_plane.request("POST", f"{NAMESPACE}/pods", pod)
    assert made.ok, made.text
    assert "warning" not in {name.lower() for name in made.headers}, made.headers
    workers = f"{NAMESPACE}/pods?labelSelector=job-name={deployed.output('job_name')}"
    names = [p["metadata"]["name"] for p in control_plane.request("GET", workers).json()["items"]]
    assert "command-1" not in names
    control_plane.request("DELETE", f"{NAMESPACE}/pods/command-1")


def test_the_outputs_are_what_the_scripts_read(deployed: StackUnderTest) -> None:
    outputs = json.loads(deployed.run("stack", "output", "--json").ok().output)
    assert outputs["kubeconfig"] == "[secret]"
    lines = assignments(outputs).splitlines()
    assert "namespace=batch-aiml" in lines
    assert "has_kubeconfig=true" in lines


@dataclass
class Drift:
    """What was seen after changes behind Pulumi's back, and what there was after an `up`."""

    labels: dict[str, str]
    seen: dict[str, str]
    shown_by_refresh: str
    healed: Result
    afterwards: Result


@pytest.fixture(scope="module")
def drift(deployed: StackUnderTest, google: FakeGoogle, control_plane: ControlPlane) -> Drift:
    """Edit a label and a policy, delete a service account and a Service; then run `up`."""
    labels = dict(google.objects()[SHARE]["labels"])
    google.change(SHARE, {"labels": {**labels, "app": "something-else"}})
    google.change(ACCOUNT, None)
    control_plane.request("DELETE", SERVICE).raise_for_status()
    opened: dict[str, Any] = {"spec": {"ingress": [{}]}}
    control_plane.request(
        "PATCH", POLICY, opened, kind="application/merge-patch+json"
    ).raise_for_status()
    return Drift(
        labels,
        {step.name: step.operation for step in deployed.plan("--refresh")},
        deployed.run("refresh", "--preview-only").ok().output,
        deployed.up("--refresh", "--skip-preview"),
        deployed.run("preview", "--refresh", "--expect-no-changes"),
    )


def test_up_heals_all_drift_and_then_nothing_differs(drift: Drift) -> None:
    drift.healed.ok()
    drift.afterwards.ok()


def test_an_edited_label_is_seen_and_set_back(drift: Drift, google: FakeGoogle) -> None:
    assert drift.seen["share-filestore"] == "update"
    assert "share-filestore" in drift.shown_by_refresh
    assert google.objects()[SHARE]["labels"] == drift.labels


def test_a_deleted_service_account_is_seen_and_made_again(drift: Drift, google: FakeGoogle) -> None:
    assert drift.seen["nodes-account"] == "create"
    assert ACCOUNT in google.objects()


def test_a_deleted_kubernetes_service_is_seen_and_made_again(
    drift: Drift, control_plane: ControlPlane
) -> None:
    assert drift.seen["redis-service"] == "create"
    assert control_plane.request("GET", SERVICE).ok


def test_an_edited_kubernetes_object_is_seen_and_set_back(
    drift: Drift, control_plane: ControlPlane
) -> None:
    assert drift.seen["redis-policy"] == "update"
    [rule] = control_plane.request("GET", POLICY).json()["spec"]["ingress"]
    [peer] = rule["from"]
    assert [e["key"] for e in peer["podSelector"]["matchExpressions"]] == ["app"]

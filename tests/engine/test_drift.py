"""What someone changed behind Pulumi's back is seen, and ``up`` puts it right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from stack import FIXED_NAMES

if TYPE_CHECKING:
    from apiserver import ControlPlane
    from google_api.server import FakeGoogle
    from stack import Result, StackUnderTest

SHARE, ACCOUNT = FIXED_NAMES["share-filestore"], FIXED_NAMES["nodes-account"]
SERVICE = "/api/v1/namespaces/batch-aiml/services/redis"


POLICY = "/apis/networking.k8s.io/v1/namespaces/batch-aiml/networkpolicies/redis"


@dataclass
class Drift:
    """What was seen after changes behind Pulumi's back, and what there was after an ``up``."""

    labels: dict[str, str]
    seen: dict[str, str]
    shown_by_refresh: str
    healed: Result
    afterwards: Result


@pytest.fixture(scope="module")
def drift(deployed: StackUnderTest, google: FakeGoogle, control_plane: ControlPlane) -> Drift:
    """A label and a policy edited, a service account and a Service deleted; then ``up``."""
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

"""From nothing to a running stack and back to nothing, by the literal commands of the README."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from stack_under_test import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from apiserver import ControlPlane
    from fakes.google_api.server import FakeGoogle
    from stack_under_test import Result, StackUnderTest

NAMESPACE = "/api/v1/namespaces/batch-aiml"


@dataclass
class Journey:
    """What each command of the journey gave, and what there was in between."""

    commands: dict[str, Result] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    volume: dict[str, Any] = field(default_factory=dict)
    password: str = ""
    state: str = ""
    logs: dict[str, str] = field(default_factory=dict)
    left_on_google: dict[str, Any] = field(default_factory=dict)
    left_in_cluster: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def journey(stack: StackUnderTest, google: FakeGoogle, control_plane: ControlPlane) -> Journey:
    """Run preview, up, output, up again, preview, refresh, destroy."""
    told = Journey()
    stack.keep_logs()
    told.commands["preview"] = stack.run("preview")
    assert not google.objects(), "a preview has created something"
    told.commands["up"] = stack.run("up", "--yes")
    told.commands["output"] = stack.run("stack", "output", "filestore_ip")
    told.commands["outputs"] = stack.run("stack", "output")
    told.objects = google.objects()
    told.volume = control_plane.request("GET", "/api/v1/persistentvolumes/fileserver").json()
    secret = control_plane.request("GET", f"{NAMESPACE}/secrets/redis").json()
    told.password = base64.b64decode(secret["data"]["password"]).decode()
    told.commands["second up"] = stack.run("up", "--yes", "--expect-no-changes")
    told.commands["second preview"] = stack.run("preview", "--expect-no-changes")
    told.commands["refresh"] = stack.run("refresh", "--yes", "--expect-no-changes")
    told.state = json.dumps(stack.state())
    told.commands["destroy"] = stack.run("destroy", "--yes")
    told.left_on_google = google.objects()
    told.logs = {log.name: _log(log) for log in stack.logs.iterdir()}
    for kind in ("namespaces", "persistentvolumes"):
        items = control_plane.request("GET", f"/api/v1/{kind}").json()["items"]
        told.left_in_cluster[kind] = [item["metadata"]["name"] for item in items]
    return told


def _log(path: Path) -> str:
    """Return what a log of the CLI says; of one that is encrypted, its bytes."""
    content = path.read_bytes()
    zipped = content.startswith(b"\x1f\x8b")
    return (gzip.decompress(content) if zipped else content).decode(errors="replace")


@pytest.mark.parametrize(
    "command",
    ["preview", "up", "output", "second up", "second preview", "refresh", "destroy"],
)
def test_every_command_of_the_journey_succeeds(journey: Journey, command: str) -> None:
    assert journey.commands[command].code == 0, journey.commands[command].output


def test_the_first_preview_shows_what_will_come_and_its_price(journey: Journey) -> None:
    preview = journey.commands["preview"].output
    assert re.search(r"\+ 41 to create", preview)
    assert "estimate: 249 USD a month idle" in preview
    assert "warning: Undecryptable" not in preview


def test_the_ip_output_is_what_the_volume_mounts(journey: Journey) -> None:
    address = journey.commands["output"].output.strip()
    name = f"projects/{PROJECT}/locations/us-central1-b/instances/batch-aiml-filestore"
    assert journey.objects[name]["networks"][0]["ipAddresses"] == [address]
    assert journey.volume["spec"]["csi"]["volumeAttributes"] == {"ip": address, "volume": "NFSVol"}


@pytest.mark.parametrize("command", ["second up", "second preview", "refresh"])
def test_nothing_changes_once_everything_is_there(journey: Journey, command: str) -> None:
    assert re.search(r"41 unchanged", journey.commands[command].output)


def test_everything_on_google_is_there_once(journey: Journey) -> None:
    kinds = sorted(re.sub(rf"projects/{PROJECT}/|locations/[^/]+/", "", n) for n in journey.objects)
    assert kinds == [
        "clusters/batch-aiml",
        "iamPolicy",
        "instances/batch-aiml-filestore",
        "repositories/batch-aiml",
        "repositories/batch-aiml/iamPolicy",
        f"serviceAccounts/batch-aiml-nodes@{PROJECT}.iam.gserviceaccount.com",
    ]


def test_destroy_leaves_nothing(journey: Journey) -> None:
    assert {name: v for name, v in journey.left_on_google.items() if v.get("bindings") != []} == {}
    assert journey.left_in_cluster["persistentvolumes"] == []
    assert "batch-aiml" not in journey.left_in_cluster["namespaces"]


def test_destroy_goes_from_the_workloads_down_to_the_network(journey: Journey) -> None:
    ended = [
        match[1]
        for line in journey.commands["destroy"].output.splitlines()
        if (match := re.search(r"(\S+) deleted \(", line))
    ]
    order = [
        ("training-job", "redis-leader"),
        ("training-job", "share-volume-claim"),
        ("redis-leader", "redis-disk"),
        ("share-volume-claim", "share-volume-volume"),
        ("share-volume-volume", "share-filestore"),
        ("share-volume-volume", "cluster-gke"),
        ("redis-disk", "cluster-gke"),
        ("workload-namespace", "cluster-gke"),
        ("share-filestore", "apis-file"),
        ("cluster-gke", "apis-container"),
        ("cluster-gke", "nodes-account"),
    ]
    for earlier, later in order:
        assert ended.index(earlier) < ended.index(later), f"{earlier} must go before {later}"


def test_the_password_is_nowhere_in_plain_text(journey: Journey) -> None:
    assert len(journey.password) == 32
    assert journey.password not in journey.state
    for name, command in journey.commands.items():
        assert journey.password not in command.output, name
    assert len(journey.logs) >= len(journey.commands), journey.logs.keys()
    for name, log in journey.logs.items():
        assert journey.password not in log, name


def test_the_kubeconfig_is_nowhere_in_plain_text(journey: Journey) -> None:
    assert "gke-gcloud-auth-plugin" not in journey.state
    assert journey.commands["outputs"].output.count("[secret]") == 1
    for name, command in journey.commands.items():
        assert "client.authentication.k8s.io" not in command.output, name
    for name, log in journey.logs.items():
        assert "gke-gcloud-auth-plugin" not in log, name

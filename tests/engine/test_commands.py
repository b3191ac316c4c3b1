"""The operator's pods, as a real API server takes them: outputs, template, admission."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.cluster.outputs import assignments
from scripts.cluster.pods import manifest

if TYPE_CHECKING:
    from apiserver import ControlPlane
    from stack import StackUnderTest

NAMESPACE = "/api/v1/namespaces/batch-aiml"


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

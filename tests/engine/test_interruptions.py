"""An update cut off by a signal or by the death of a provider is finished by the next."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stack import FIXED_NAMES

if TYPE_CHECKING:
    from google_api.server import FakeGoogle
    from stack import StackUnderTest


def _finished(stack: StackUnderTest) -> None:
    stack.up("--skip-preview").ok()
    stack.run("preview", "--refresh", "--expect-no-changes").ok()
    resources = stack.state()["checkpoint"]["latest"]["resources"]
    urns = [resource["urn"] for resource in resources]
    assert len(urns) == len(set(urns))
    assert not stack.state()["checkpoint"]["latest"].get("pending_operations")


def test_an_interrupted_up_is_finished_by_the_next(
    stack: StackUnderTest, google: FakeGoogle
) -> None:
    update = stack.start("up", "--yes", "--skip-preview")
    with google.waiting_for("POST", "/file/v1/.*/instances$"):
        update.send_signal(signal.SIGINT)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    # What was under way when the signal came is in the state.
    names = {r["urn"].split("::")[3] for r in stack.state()["checkpoint"]["latest"]["resources"]}
    assert "share-filestore" in names
    assert "training-job" not in names
    _finished(stack)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kubernetes_provider_that_dies_is_made_up_for(stack: StackUnderTest, moment: str) -> None:
    stack.configure({"run": f"died-{moment}"})
    stack.inject({"operation": "create", "urn": "::training-job$", "crash": moment})
    assert stack.up("--skip-preview").code != 0
    _finished(stack)
    assert stack.output("job_name").startswith(f"workload-died-{moment}-")


def test_a_google_provider_that_dies_is_made_up_for(
    stack: StackUnderTest, google: FakeGoogle
) -> None:
    stack.configure({"filestore_capacity_gib": 1500})
    update = stack.start("up", "--yes", "--skip-preview")
    with google.waiting_for("PATCH", "/file/v1/.*/instances/.*"):
        _kill("pulumi-resource-gcp", stack.directory)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    _finished(stack)
    assert FIXED_NAMES["nodes-account"] in google.objects()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/file/v1/.*/instances$", "share-filestore"),
        ("/container/v1/.*/clusters$", "cluster-gke"),
    ],
)
def test_what_a_google_provider_made_and_could_not_record_is_adopted(
    stack: StackUnderTest, google: FakeGoogle, path: str, name: str
) -> None:
    stack.run("destroy", "--yes", "--skip-preview").ok()
    update = stack.start("up", "--yes", "--skip-preview")
    with google.waiting_for("POST", path):
        _kill("pulumi-resource-gcp", stack.directory)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    refused = stack.up("--skip-preview")  # other creations were under way, too
    lost_names = refused.failed - {"batch-aiml-dev"}  # the stack as a whole fails with them
    assert name in lost_names, refused.output
    assert refused.output.count("already exists") >= len(lost_names)
    for lost in lost_names:
        stack.script("adopt.sh", lost, FIXED_NAMES[lost]).ok()
    _finished(stack)
    assert FIXED_NAMES[name] in google.objects()


def _kill(program: str, home: Path) -> None:
    """Kills the processes of ``program`` that belong to the stack in ``home``."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            executable = (process / "exe").resolve().name
            environment = (process / "environ").read_text(errors="replace")
        except OSError:  # it has just ended, or is not ours
            continue
        if executable == program and str(home) in environment:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    assert killed, f"no {program} is running"

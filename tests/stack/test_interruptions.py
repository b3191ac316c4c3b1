"""An update cut off by a signal or by the death of a provider is finished by the next."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from endings import finish, kill
from stack_under_test import FIXED_NAMES

if TYPE_CHECKING:
    from fakes.google_api.server import FakeGoogle
    from stack_under_test import StackUnderTest


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
    finish(stack)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kubernetes_provider_that_dies_is_made_up_for(stack: StackUnderTest, moment: str) -> None:
    stack.configure({"run": f"died-{moment}"})
    stack.inject({"operation": "create", "urn": "::training-job$", "crash": moment})
    assert stack.up("--skip-preview").code != 0
    finish(stack)
    assert stack.output("job_name").startswith(f"workload-died-{moment}-")


def test_a_google_provider_that_dies_is_made_up_for(
    stack: StackUnderTest, google: FakeGoogle
) -> None:
    stack.configure({"filestore_capacity_gib": 1500})
    update = stack.start("up", "--yes", "--skip-preview")
    with google.waiting_for("PATCH", "/file/v1/.*/instances/.*"):
        kill("pulumi-resource-gcp", stack.directory)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    finish(stack)
    assert FIXED_NAMES["nodes-account"] in google.objects()

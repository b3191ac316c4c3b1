"""A changed setting gives exactly the plan it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stack_under_test import StackUnderTest, Step

JOB = "kubernetes:batch/v1:Job"
FILESTORE = "gcp:filestore/instance:Instance"


@pytest.fixture(scope="module")
def deployed(stack: StackUnderTest) -> StackUnderTest:
    """Return the dev stack with a share that is larger than the smallest."""
    stack.configure({"filestore_capacity_gib": 1100})
    stack.up("--skip-preview").ok()
    return stack


def _changed(plan: list[Step]) -> set[tuple[str, str]]:
    """Return what of a plan changes a thing, without the steps of which a replacement consists."""
    parts = ("create-replacement", "delete-replaced")
    return {(step.operation, step.name) for step in plan if step.operation not in parts}


def test_more_capacity_is_an_update_in_place(deployed: StackUnderTest) -> None:
    with deployed.configured(filestore_capacity_gib=2048):
        assert _changed(deployed.plan()) == {("update", "share-filestore")}


def test_less_capacity_is_refused_in_the_preview_already(deployed: StackUnderTest) -> None:
    with deployed.configured(filestore_capacity_gib=1024):
        result = deployed.preview()
    assert result.code != 0
    [refusal] = result.errors
    assert "batch-aiml:filestore_capacity_gib = 1024: must be at least 1100" in refusal
    assert "Traceback" not in result.output


def test_a_new_run_replaces_the_job_and_nothing_else(deployed: StackUnderTest) -> None:
    before = deployed.output("job_name")
    with deployed.configured(run="second"):
        assert _changed(deployed.plan()) == {("replace", "training-job")}
        deployed.up("--skip-preview").ok()
        after = deployed.output("job_name")
    assert before.startswith("workload-1-")
    assert after.startswith("workload-second-")
    deployed.up("--skip-preview").ok()
    assert deployed.output("job_name") == before


def test_a_new_image_replaces_the_job_and_updates_the_template_of_commands(
    deployed: StackUnderTest,
) -> None:
    image = f"registry.example/workload@sha256:{'c' * 64}"
    with deployed.configured(image=image):
        changed = _changed(deployed.plan())
    assert {("replace", "training-job"), ("update", "command-template")} <= changed
    # The image is given, so the stack's own repository and build are not wanted any more.
    assert {name for _, name in changed} == {
        "training-job",
        "command-template",
        "workload",
        "workload-image",
        "images",
        "images-repository",
        "images-reader",
    }


def test_another_digest_replaces_the_job_alone(deployed: StackUnderTest) -> None:
    with deployed.configured(image=f"registry.example/workload@sha256:{'a' * 64}"):
        deployed.up("--skip-preview").ok()
        before = deployed.output("job_name")
        deployed.configure({"image": f"registry.example/workload@sha256:{'b' * 64}"})
        assert _changed(deployed.plan()) == {
            ("replace", "training-job"),
            ("update", "command-template"),
        }
        deployed.up("--skip-preview").ok()
        assert deployed.output("job_name") != before
    deployed.up("--skip-preview").ok()


def test_changed_code_of_the_workload_builds_an_image_and_replaces_the_job(
    deployed: StackUnderTest,
) -> None:
    module = deployed.project / "workload" / "errors.py"
    before = module.read_text()
    module.write_text(f"{before}# changed\n")
    try:
        assert _changed(deployed.plan()) == {
            ("update", "workload-image"),
            ("update", "command-template"),
            ("replace", "training-job"),
        }
    finally:
        module.write_text(before)


def test_more_workers_replace_the_job_and_nothing_else(deployed: StackUnderTest) -> None:
    with deployed.configured(parallelism=3):
        assert _changed(deployed.plan()) == {("replace", "training-job")}


def test_another_zone_would_replace_the_share_which_protect_refuses(
    deployed: StackUnderTest,
) -> None:
    with deployed.configured(zone="us-central1-c"):
        assert ("replace", "share-filestore") in _changed(deployed.plan())
    with deployed.configured(protect=True):
        deployed.up("--skip-preview").ok()
        with deployed.configured(zone="us-central1-c"):
            result = deployed.preview()
        assert result.code != 0
        assert any("unable to replace" in e and "share-filestore" in e for e in result.errors)
        assert "currently marked for protection" in result.output
    deployed.up("--skip-preview").ok()

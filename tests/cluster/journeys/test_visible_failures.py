"""What goes wrong is told in one line, by `status.sh` and by the Job itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from existing import WORKER_USER
from journeys.rehearsed import NAMESPACE, SMALL_WORKERS, WORKERS, Run
from node.waiting import until

if TYPE_CHECKING:
    from journeys.rehearsed import Rehearsal
    from stack_under_test import Result

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "more-data", "namespace": NAMESPACE},
    "spec": {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "missing",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
MISSING_IMAGE = f"localhost/batch-aiml/missing@sha256:{'0' * 64}"
REFUSED = "datasets/training/2100-01-01.parquet"
PARALLELISM = 2
WRONG = 3


@pytest.fixture(scope="module")
def missing_image(dev: Rehearsal) -> Result:
    """Run `status.sh` while the Job's image can't be pulled; a dataset that is none waits."""
    path = dev.share / REFUSED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no parquet file")
    os.chown(path, WORKER_USER, WORKER_USER)
    dev.stack.script("queue-jobs.sh").ok()
    settings = {"image": MISSING_IMAGE, "parallelism": PARALLELISM, **SMALL_WORKERS}
    dev.bring_up(Run(), run="missing-image", **settings)
    until("all pulls have failed", lambda: _failed_pulls(dev) == PARALLELISM)
    return dev.stack.script("status.sh")


@pytest.fixture(scope="module")
def refused(dev: Rehearsal, missing_image: Result) -> Result:
    """Run `status.sh` after a run with nothing but that dataset, beside a claim of no use."""
    dev.node.apply(CLAIM)
    dev.bring_up(Run(), run="refused", image=dev.node.images.workload.reference)
    assert dev.until_job_ends() == "Failed"
    return dev.stack.script("status.sh")


def test_an_image_that_can_not_be_pulled_is_named(missing_image: Result) -> None:
    assert missing_image.code == WRONG, missing_image.output
    [line] = _wrong(missing_image)
    assert line.startswith("pod workload-missing-image-")
    assert f"image {MISSING_IMAGE} can't be pulled (" in line
    assert line.endswith("(and 1 more like this)")


def test_a_dataset_that_is_refused_is_named_with_the_reason(refused: Result) -> None:
    assert refused.code == WRONG, refused.output
    _, job, dataset = _wrong(refused)
    assert job.startswith("Job workload-refused-")
    assert job.endswith("failed: PodFailurePolicy: drained with dead letters, or halted")
    assert dataset.startswith(f"{REFUSED} was refused: ")


def test_a_claim_that_can_not_be_bound_is_named_with_the_reason(refused: Result) -> None:
    claim = _wrong(refused)[0]
    assert claim.startswith("claim more-data can't be bound: ")
    assert '"missing" not found' in claim


def test_the_jobs_own_state_says_that_no_other_try_would_help(
    dev: Rehearsal, refused: Result
) -> None:
    [condition] = [c for c in dev.job()["status"]["conditions"] if c["type"] == "Failed"]
    assert condition["reason"] == "PodFailurePolicy"
    assert "exit code 3" in condition["message"]


def _failed_pulls(dev: Rehearsal) -> int:
    """Return how many workers wait for an image that could not be pulled."""
    states = [
        container["state"].get("waiting", {}).get("reason")
        for pod in dev.pods.all(WORKERS)
        for container in pod["status"].get("containerStatuses", [])
    ]
    return sum(state in ("ErrImagePull", "ImagePullBackOff") for state in states)


def _wrong(status: Result) -> list[str]:
    """Return what is said to be wrong, a line each."""
    lines = status.output.splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith("WRONG")]

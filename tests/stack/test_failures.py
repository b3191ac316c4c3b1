"""What fails half-way, the next `up` finishes: nothing is made twice, nothing is left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from stack_under_test import PROJECT

if TYPE_CHECKING:
    from fakes.google_api.server import FakeGoogle
    from stack_under_test import Result, StackUnderTest

QUOTA = "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-central1."


def _refuse(path: str) -> dict[str, Any]:
    return {"method": "POST", "path": path, "status": 403, "message": QUOTA, "times": 99}


GOOGLE_FAULTS = {
    "apis-container": _refuse(r"services/container\.googleapis\.com:enable$"),
    "share-filestore": {
        "method": "POST",
        "path": "/file/v1/.*/instances$",
        "operation_error": "internal error while creating the instance",
        "times": 99,
    },
    "images-repository": _refuse("/repositories$"),
    "nodes-account": _refuse("/serviceAccounts$"),
    "images-reader": _refuse("/repositories/.*:setIamPolicy$"),
    "nodes-role": _refuse("/cloudresourcemanager/.*:setIamPolicy$"),
    "cluster-gke": _refuse("/container/v1/.*/clusters$"),
}
"""A failure of each resource on Google: a quota, or an operation that ends in error."""

OTHERS = (
    "workload-image",
    "redis-password",
    "workload-namespace",
    "workload-deny",
    "share-volume-volume",
    "share-volume-claim",
    "redis-secret",
    "redis-disk",
    "redis-service",
    "redis-policy",
    "redis-leader",
    "training-account",
    "training-policy",
    "training-job",
    "command-template",
)


@dataclass
class Attempts:
    """Every `up` until all resources have failed once, and the one after that.

    Attributes:
        failed: resource to the `up` in which its creation failed.
    """

    failed: dict[str, Result]
    last: Result


@pytest.fixture(scope="module")
def attempts(stack: StackUnderTest, google: FakeGoogle) -> Attempts:
    """Let the creation of each resource fail, until each has failed, whatever the order."""
    failed: dict[str, Result] = {}
    every = {*GOOGLE_FAULTS, *OTHERS}
    for _ in every:
        google.faults = [dict(GOOGLE_FAULTS[name]) for name in GOOGLE_FAULTS.keys() - failed]
        stack.inject(
            *(
                {"operation": "create", "urn": f"::{name}$", "error": f"no luck with {name}"}
                for name in set(OTHERS) - failed.keys()
            )
        )
        result = stack.up("--skip-preview")
        new = result.failed & every - failed.keys()
        assert new, result.output
        failed |= dict.fromkeys(new, result)
        if failed.keys() == every:
            break
    google.faults = []
    stack.inject()
    return Attempts(failed, stack.up("--skip-preview"))


@pytest.mark.parametrize("name", [*GOOGLE_FAULTS, *OTHERS])
def test_a_creation_that_fails_says_why_and_fails_the_update(attempts: Attempts, name: str) -> None:
    result = attempts.failed[name]
    assert result.code != 0
    causes = (QUOTA, "internal error while creating", f"no luck with {name}")
    assert any(cause in error for error in result.errors for cause in causes), result.output
    assert "Traceback" not in result.output


def test_every_resource_of_the_stack_has_failed_once(
    attempts: Attempts, stack: StackUnderTest
) -> None:
    resources = stack.state()["checkpoint"]["latest"]["resources"]
    names = {r["urn"].split("::")[3] for r in resources if r.get("custom")}
    one_for_all = {name for name in names if name.startswith("apis-")}
    providers = {name for name in names if name.startswith("default_")} | {"cluster-provider"}
    assert names - one_for_all - providers == set(attempts.failed) - {"apis-container"}


def test_the_next_up_finishes(attempts: Attempts, stack: StackUnderTest) -> None:
    attempts.last.ok()
    stack.run("preview", "--refresh", "--expect-no-changes").ok()


def test_nothing_is_there_twice(
    attempts: Attempts, stack: StackUnderTest, google: FakeGoogle
) -> None:
    attempts.last.ok()
    resources = stack.state()["checkpoint"]["latest"]["resources"]
    urns = [resource["urn"] for resource in resources]
    assert len(urns) == len(set(urns))
    assert not [r for r in resources if r.get("delete")]
    clusters = [name for name in google.objects() if re.search("/clusters/[^/]+$", name)]
    assert clusters == [f"projects/{PROJECT}/locations/us-central1/clusters/batch-aiml"]

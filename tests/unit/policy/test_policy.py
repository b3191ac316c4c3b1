"""The policy pack refuses what a stack must never do, and nothing that ours does."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
from pulumi.runtime import rpc
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import unknown_checking_proxy

from policy.pack import BUDGET, BUDGET_DEFAULTS, POLICIES, RULES
from policy.rules import foundations
from policy.rules.resource import UNKNOWN, Resource, plain
from tests.support.program import Declared, declare

JOB, STATEFUL_SET = "kubernetes:batch/v1:Job", "kubernetes:apps/v1:StatefulSet"
SERVICE, SECRET = "kubernetes:core/v1:Service", "kubernetes:core/v1:Secret"
CLUSTER, FILESTORE, REDIS = foundations.CLUSTER, foundations.FILESTORE, foundations.REDIS
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
ABSENT = object()

STACKS: dict[str, dict[str, Any]] = {
    "dev": {},
    "first preview": {"preview": True},
    "standard": {"cluster": "standard", "network": "new", "redis_mode": "memorystore"},
    "standard, first preview": {
        "cluster": "standard",
        "network": "new",
        "redis_mode": "memorystore",
        "preview": True,
    },
    "production": {"production": True, "protect": True},
}


@functools.cache
def _declared(stack: str) -> Declared:
    return declare(**STACKS[stack])


def _resources(stack: str) -> list[Resource]:
    return [
        Resource(
            declared.type,
            declared.name,
            plain(unknown_checking_proxy(declared.inputs)),
            protect=declared.protect,
        )
        for declared in _declared(stack).resources
    ]


def _violations(resource: Resource, **config: float) -> dict[str, list[str]]:
    found = {name: list(rule(resource)) for name, (_, rule) in RULES.items()}
    limits = {**BUDGET_DEFAULTS, **config}
    found[BUDGET] = list(foundations.share_within_budget(resource, limits))
    return {name: lines for name, lines in found.items() if lines}


def _changed(kind: str, stack: str, changes: dict[str, Any]) -> Resource:
    """Return a resource of our own stack with values at dotted paths set, or taken away."""
    [original] = [r for r in _resources(stack) if r.type == kind and r.name != "apis"][:1]
    properties: Any = copy.deepcopy(original.properties)
    for path, value in changes.items():
        *parents, last = path.split(".")
        inner: Any = properties
        for part in parents:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
        key: Any = int(last) if isinstance(inner, list) else last
        if value is ABSENT:
            del inner[key]
        else:
            inner[key] = value
    return Resource(original.type, original.name, properties, protect=original.protect)


@pytest.mark.parametrize("stack", STACKS)
def test_our_own_stacks_break_no_rule(stack: str) -> None:
    resources = _resources(stack)
    assert len(resources) > 30
    for resource in resources:
        assert _violations(resource) == {}, resource.name


PUBLIC, RESTRICTED, DIGEST = "no-public-endpoints", "restricted-pods", "images-by-digest"
EQUAL, SPOT, PASSWORD = "requests-equal-limits", "redis-not-on-spot", "redis-has-password"
MANAGED, LABELS, PRODUCTION = "managed-redis-is-guarded", "labelled", "production-is-protected"

CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (PUBLIC, CLUSTER, {"controlPlaneEndpointsConfig.ipEndpointsConfig.enabled": True}, "address"),
    (PUBLIC, CLUSTER, {"controlPlaneEndpointsConfig": ABSENT}, "address"),
    (PUBLIC, SERVICE, {"spec.type": "LoadBalancer"}, "use ClusterIP"),
    (PUBLIC, SERVICE, {"spec.type": "NodePort"}, "use ClusterIP"),
    (PUBLIC, SERVICE, {"spec.externalIPs": ["8.8.8.8"]}, "externalIPs"),
    (RESTRICTED, JOB, {f"{POD}.hostNetwork": True}, "hostNetwork"),
    (RESTRICTED, JOB, {f"{POD}.hostPID": True}, "hostPID"),
    (RESTRICTED, JOB, {f"{POD}.hostIPC": True}, "hostIPC"),
    (RESTRICTED, JOB, {f"{POD}.volumes.0": {"name": "a", "hostPath": {}}}, "volume a"),
    (RESTRICTED, JOB, {f"{POD}.securityContext.runAsNonRoot": ABSENT}, "may run as root"),
    (RESTRICTED, JOB, {f"{POD}.securityContext.runAsNonRoot": False}, "may run as root"),
    (RESTRICTED, JOB, {f"{POD}.securityContext.runAsUser": 0}, "user 0"),
    (RESTRICTED, JOB, {f"{POD}.securityContext.seccompProfile": ABSENT}, "seccompProfile"),
    (RESTRICTED, JOB, {f"{POD}.securityContext.seccompProfile.type": "Unconfined"}, "seccomp"),
    (RESTRICTED, JOB, {f"{CONTAINER}.securityContext.privileged": True}, "is privileged"),
    (RESTRICTED, JOB, {f"{CONTAINER}.securityContext.runAsUser": 0}, "user 0"),
    (RESTRICTED, JOB, {f"{CONTAINER}.securityContext.allowPrivilegeEscalation": ABSENT}, "gain"),
    (RESTRICTED, JOB, {f"{CONTAINER}.securityContext.capabilities": ABSENT}, "keeps"),
    (RESTRICTED, JOB, {f"{CONTAINER}.securityContext.capabilities.add": ["SYS_ADMIN"]}, "adds"),
    (RESTRICTED, STATEFUL_SET, {f"{CONTAINER}.securityContext": ABSENT}, "gain privileges"),
    (DIGEST, JOB, {f"{CONTAINER}.image": "registry.example/workload:latest"}, "@sha256:DIGEST"),
    (DIGEST, STATEFUL_SET, {f"{CONTAINER}.image": "redis"}, "@sha256:DIGEST"),
    (EQUAL, JOB, {f"{CONTAINER}.resources.requests.cpu": "500m"}, "500m cpu with a limit of 1"),
    (EQUAL, JOB, {f"{CONTAINER}.resources.limits": ABSENT}, "limit of None"),
    (EQUAL, JOB, {f"{CONTAINER}.resources": ABSENT}, "requests None"),
    (EQUAL, JOB, {f"{CONTAINER}.resources.limits.memory": "3Gi"}, "limit of 3Gi"),
    (
        EQUAL,
        JOB,
        {
            f"{CONTAINER}.resources.requests.ephemeral-storage": ABSENT,
            f"{CONTAINER}.resources.limits.ephemeral-storage": ABSENT,
        },
        "ephemeral-storage",
    ),
    (SPOT, STATEFUL_SET, {f"{POD}.nodeSelector": {"cloud.google.com/gke-spot": "true"}}, "Spot"),
    (SPOT, STATEFUL_SET, {f"{POD}.tolerations": [{"key": "cloud.google.com/gke-spot"}]}, "Spot"),
    (PASSWORD, SECRET, {"stringData": {"redis.conf": "port 6379\n"}}, "requirepass"),
    (PASSWORD, SECRET, {"stringData": {"redis.conf": "requirepass \n"}}, "requirepass"),
    (PASSWORD, STATEFUL_SET, {f"{POD}.volumes": []}, "no Secret"),
    (LABELS, CLUSTER, {"resourceLabels.stack": ABSENT}, "without stack"),
    (LABELS, FILESTORE, {"labels": ABSENT}, "without app, stack, environment, managed-by"),
    (LABELS, JOB, {"metadata.labels": {"app": "workload"}}, "batch-aiml/stack"),
    (PRODUCTION, FILESTORE, {"labels.environment": "production"}, "without protect"),
    (PRODUCTION, CLUSTER, {"resourceLabels.environment": "production"}, "deletionProtection"),
    (BUDGET, FILESTORE, {"fileShares.capacityGb": 4097}, "4097 GiB; at most 4096"),
    (BUDGET, FILESTORE, {"fileShares.capacityGb": 4000, "tier": "BASIC_SSD"}, "1200 USD a month"),
    (BUDGET, FILESTORE, {"tier": "ENTERPRISE"}, "no known price"),
]
"""Rule, type of the resource, what is changed about it, words of the violation."""

STANDARD_CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (MANAGED, REDIS, {"authEnabled": False}, "password"),
    (MANAGED, REDIS, {"authEnabled": ABSENT}, "password"),
    (MANAGED, REDIS, {"transitEncryptionMode": "DISABLED"}, "encryption"),
    (LABELS, "gcp:container/nodePool:NodePool", {"nodeConfig.resourceLabels": {}}, "without app"),
]


@pytest.mark.parametrize(("rule", "kind", "changes", "words"), CASES)
def test_a_violation_is_refused_by_its_rule_and_no_other(
    rule: str, kind: str, changes: dict[str, Any], words: str
) -> None:
    found = _violations(_changed(kind, "dev", changes))
    assert set(found) == {rule}
    assert any(words in line for line in found[rule]), found


@pytest.mark.parametrize(("rule", "kind", "changes", "words"), STANDARD_CASES)
def test_a_violation_of_a_standard_stack_is_refused_by_its_rule(
    rule: str, kind: str, changes: dict[str, Any], words: str
) -> None:
    found = _violations(_changed(kind, "standard", changes))
    assert set(found) == {rule}
    assert any(words in line for line in found[rule]), found


@pytest.mark.parametrize(
    "kind",
    [
        "kubernetes:networking.k8s.io/v1:Ingress",
        "kubernetes:gateway.networking.k8s.io/v1:Gateway",
        "gcp:compute/globalForwardingRule:GlobalForwardingRule",
    ],
)
def test_load_balancers_of_any_kind_are_refused(kind: str) -> None:
    assert PUBLIC in _violations(Resource(kind, "door", {}))


@pytest.mark.parametrize(
    "kind",
    [
        "core/v1:Pod",
        "core/v1:PodTemplate",
        "apps/v1:Deployment",
        "batch/v1:CronJob",
        "apps/v1:DaemonSet",
    ],
)
def test_pods_are_found_whatever_creates_them(kind: str) -> None:
    pod = {"containers": [{"name": "a", "image": "a:latest"}]}
    specs: dict[str, dict[str, Any]] = {
        "core/v1:Pod": pod,
        "batch/v1:CronJob": {"jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    properties: dict[str, Any] = {"spec": specs.get(kind, {"template": {"spec": pod}})}
    if kind == "core/v1:PodTemplate":
        properties = {"template": {"spec": pod}}
    found = _violations(Resource(f"kubernetes:{kind}", "pod", properties))
    assert {RESTRICTED, DIGEST, EQUAL} <= set(found)


@pytest.mark.parametrize(
    ("request_", "limit"), [("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m")]
)
def test_equal_amounts_in_other_words_are_equal(request_: str, limit: str) -> None:
    resource = _changed(
        JOB,
        "dev",
        {
            f"{CONTAINER}.resources.requests.cpu": request_,
            f"{CONTAINER}.resources.limits.cpu": limit,
        },
    )
    assert _violations(resource) == {}


def test_containers_of_every_sort_are_looked_at() -> None:
    for field in ("initContainers", "ephemeralContainers"):
        found = _violations(_changed(JOB, "dev", {f"{POD}.{field}": [{"name": "other"}]}))
        assert any("container other" in line for line in found[RESTRICTED])


def test_the_budget_can_be_set() -> None:
    share = _changed(FILESTORE, "dev", {})
    assert set(_violations(share, max_monthly_usd=100)) == {BUDGET}
    assert set(_violations(share, max_capacity_gib=1000)) == {BUDGET}


def test_every_rule_has_a_case_that_breaks_it() -> None:
    covered = {case[0] for case in [*CASES, *STANDARD_CASES]}
    assert covered == {*RULES, BUDGET} == {policy.name for policy in POLICIES}


def test_every_policy_is_mandatory_and_says_what_it_demands() -> None:
    for policy in POLICIES:
        assert isinstance(policy, ResourceValidationPolicy)
        assert policy.enforcement_level is EnforcementLevel.MANDATORY
        assert policy.description.endswith(".")


def test_what_is_unknown_is_marked_and_its_neighbours_are_not() -> None:
    raw = {"a": rpc.UNKNOWN, "b": [1, rpc.UNKNOWN], "c": {"d": rpc.UNKNOWN, "e": "f"}}
    values = plain(unknown_checking_proxy(deserialize_properties(raw)))
    assert values == {"a": UNKNOWN, "b": [1, UNKNOWN], "c": {"d": UNKNOWN, "e": "f"}}


@pytest.mark.parametrize(("rule", "kind", "changes", "words"), CASES)
def test_no_rule_takes_an_unknown_value_for_a_violation(
    rule: str, kind: str, changes: dict[str, Any], words: str
) -> None:
    unknown = dict.fromkeys(changes, UNKNOWN)
    assert rule not in _violations(_changed(kind, "dev", unknown)), words

"""Whatever the stack does not declare is refused by its type alone: the ways round the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

import pulumi
import pytest

from policy import guard
from policy.pack import BUDGET_DEFAULTS, violations
from policy.rules.resource import UNKNOWN, Resource
from tests.support.program import declare, defaults

TYPES = {
    "a change to someone else's object": [
        "kubernetes:batch/v1:JobPatch",
        "kubernetes:core/v1:NamespacePatch",
        "kubernetes:core/v1:ServicePatch",
        "kubernetes:apps/v1:DaemonSetPatch",
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBindingPatch",
    ],
    "many objects as one": [
        "kubernetes:batch/v1:JobList",
        "kubernetes:core/v1:PodList",
        "kubernetes:core/v1:ServiceList",
    ],
    "pods in other wrappings": [
        "kubernetes:core/v1:Pod",
        "kubernetes:core/v1:ReplicationController",
        "kubernetes:apps/v1:Deployment",
        "kubernetes:apps/v1:DaemonSet",
        "kubernetes:apps/v1:ReplicaSet",
        "kubernetes:batch/v1:CronJob",
    ],
    "the same kinds in other versions": [
        "kubernetes:batch/v1beta1:CronJob",
        "kubernetes:apps/v1beta2:StatefulSet",
        "kubernetes:extensions/v1beta1:Deployment",
    ],
    "objects that a preview does not show": [
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:helm.sh/v3:Chart",
        "kubernetes:helm.sh/v4:Chart",
        "kubernetes:yaml:ConfigFile",
        "kubernetes:yaml/v2:ConfigGroup",
        "kubernetes:kustomize/v2:Directory",
    ],
    "custom resources and what defines them": [
        "kubernetes:apiextensions.k8s.io:CustomResource",
        "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
        "kubernetes:cert-manager.io/v1:Certificate",
        "kubernetes:iam.cnrm.cloud.google.com/v1beta1:IAMPolicyMember",
    ],
    "rights and hooks in the cluster": [
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
        "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration",
        "kubernetes:apiregistration.k8s.io/v1:APIService",
        "kubernetes:scheduling.k8s.io/v1:PriorityClass",
    ],
    "doors from outside": [
        "kubernetes:networking.k8s.io/v1:Ingress",
        "kubernetes:gateway.networking.k8s.io/v1:Gateway",
        "kubernetes:discovery.k8s.io/v1:EndpointSlice",
        "kubernetes:core/v1:Endpoints",
        "gcp:compute/firewall:Firewall",
        "gcp:compute/firewallPolicyRule:FirewallPolicyRule",
        "gcp:compute/forwardingRule:ForwardingRule",
        "gcp:compute/globalForwardingRule:GlobalForwardingRule",
        "gcp:compute/address:Address",
        "gcp:compute/networkPeering:NetworkPeering",
        "gcp:cloudrunv2/service:Service",
    ],
    "rights on Google Cloud": [
        "gcp:projects/iAMBinding:IAMBinding",
        "gcp:projects/iAMPolicy:IAMPolicy",
        "gcp:projects/iAMCustomRole:IAMCustomRole",
        "gcp:organizations/iAMMember:IAMMember",
        "gcp:serviceaccount/iAMMember:IAMMember",
        "gcp:storage/bucketIAMMember:BucketIAMMember",
        "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
        "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
    ],
    "keys": [
        "gcp:serviceaccount/key:Key",
        "gcp:storage/hmacKey:HmacKey",
        "gcp:projects/apiKey:ApiKey",
        "tls:index/privateKey:PrivateKey",
    ],
    "machines": ["gcp:compute/instance:Instance", "gcp:cloudfunctionsv2/function:Function"],
    "commands on whoever's machine runs the update": [
        "command:local:Command",
        "command:remote:Command",
        "pulumi-python:dynamic:Resource",
        "pulumi-python:dynamic/infra.job:Resource",
        "pulumi-nodejs:dynamic:Resource",
    ],
    "other providers, and this stack's with other credentials": [
        "aws:s3/bucketV2:BucketV2",
        "azure-native:storage:StorageAccount",
        "google-native:compute/v1:Firewall",
        "docker:index/container:Container",
        "random:index/randomString:RandomString",
        "pulumi:providers:gcp",
        "pulumi:providers:aws",
        "pulumi:providers:default",
    ],
    "components that nobody here wrote": [
        "eks:index:Cluster",
        "batch-aiml:index:Another",
        "batch-aiml:other:Share",
    ],
    "names that resemble a declared one": [
        "kubernetes:batch/v1:job",
        "kubernetes:batch/v1:Job ",
        "xkubernetes:batch/v1:Job",
        "kubernetes:batch/v1:Job:Job",
        "",
    ],
}
"""Ways round rules that look at what they know, and the types that go them."""


@pytest.mark.parametrize(("way", "kind"), [(way, kind) for way in TYPES for kind in TYPES[way]])
def test_a_type_that_the_stack_does_not_declare_is_refused(way: str, kind: str) -> None:
    found = [
        line
        for rule, line in violations(Resource(kind, "door", {}), BUDGET_DEFAULTS)
        if rule == "declared-types-only"
    ]
    assert found == [f"{kind} is no type of this stack; policy/rules/declared.py lists them all"]


def test_what_a_preview_does_not_know_yet_is_marked_where_it_is_and_nowhere_else() -> None:
    async def given() -> Any:
        unknown = pulumi.output.UNKNOWN
        return await guard.settled(
            {
                "plain": "a",
                "secret": pulumi.Output.secret("b"),
                "later": pulumi.Output.from_input("c").apply(str, True),
                "nothing": pulumi.Output.from_input(None),
                "inner": pulumi.Output.from_input({"known": 1, "unknown": unknown}),
                "list": [unknown, pulumi.Output.secret({"d": "e"})],
            }
        )

    assert asyncio.run(given()) == {
        "plain": "a",
        "secret": "b",
        "later": "c",
        "nothing": None,
        "inner": {"known": 1, "unknown": UNKNOWN},
        "list": [UNKNOWN, {"d": "e"}],
    }


@pytest.mark.parametrize("stack", ["dev", "local"])
def test_the_program_puts_the_rules_in_force_before_it_declares_anything(stack: str) -> None:
    """A resource declared before them would pass unseen."""
    assert declare(stack).unchecked == 0


class _Ended(Exception):
    pass


def _declared(monkeypatch: pytest.MonkeyPatch, kind: str, properties: dict[str, Any]) -> list[str]:
    """Return what the program says, and how it ends, when it declares a resource."""
    transforms: list[Any] = []
    said: list[str] = []

    def end(code: int) -> None:
        said.append(f"ends with {code}")
        raise _Ended

    monkeypatch.setattr(pulumi.runtime, "register_resource_transform", transforms.append)
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setattr(os, "_exit", end)

    async def run() -> None:
        guard.enforce({"max_capacity_gib": 2048, "max_monthly_usd": 500})
        arguments = pulumi.ResourceTransformArgs(
            custom=True, type_=kind, name="new", props=properties, opts=pulumi.ResourceOptions()
        )
        with contextlib.suppress(_Ended):
            assert await transforms[0](arguments) is None

    asyncio.run(run())
    return said


def test_what_breaks_a_rule_ends_the_program_with_a_line_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = _declared(
        monkeypatch,
        "kubernetes:core/v1:PersistentVolume",
        {"metadata": {}, "spec": {"nfs": {"server": "10.0.0.1"}}},
    )
    assert len(said) == 3
    assert said[0].startswith("new: spec.nfs is no field of the share's volume; leave it out")
    assert said[0].endswith("(policy volumes-of-the-share-only)")
    assert said[1].endswith("(policy labelled)")
    assert said[2] == "ends with 32"


def test_the_limits_of_the_share_are_the_stacks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = dict.fromkeys(("app", "stack", "environment", "managed-by"), "x")
    share: dict[str, Any] = {"tier": "BASIC_HDD", "labels": labels}
    kind = "gcp:filestore/instance:Instance"
    assert _declared(monkeypatch, kind, {**share, "fileShares": {"capacityGb": 2048}}) == []
    said = _declared(monkeypatch, kind, {**share, "fileShares": {"capacityGb": 2049}})
    assert said == [
        "new: 2049 GiB; at most 2048 (max_capacity_gib) (policy share-within-budget)",
        "ends with 32",
    ]


def test_the_limits_are_the_same_by_default_in_the_program_and_in_the_pack() -> None:
    assert {limit: defaults()[limit] for limit in BUDGET_DEFAULTS} == BUDGET_DEFAULTS

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

from policy.pack import BUDGET, BUDGET_DEFAULTS, POLICIES, RULES, violations
from policy.rules import foundations
from policy.rules.declared import TYPES
from policy.rules.resource import UNKNOWN, Resource, plain
from tests.support.program import Declared, declare

JOB, STATEFUL_SET = "kubernetes:batch/v1:Job", "kubernetes:apps/v1:StatefulSet"
COMMAND = "kubernetes:core/v1:PodTemplate"
SERVICE, SECRET = "kubernetes:core/v1:Service", "kubernetes:core/v1:Secret"
NAMESPACE, ACCOUNT = "kubernetes:core/v1:Namespace", "kubernetes:core/v1:ServiceAccount"
PERSISTENT_VOLUME = "kubernetes:core/v1:PersistentVolume"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
IN_PROJECT = "gcp:projects/iAMMember:IAMMember"
IN_REPOSITORY = "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember"
GENERATED = "random:index/randomPassword:RandomPassword"
CLUSTER, FILESTORE, REDIS = foundations.CLUSTER, foundations.FILESTORE, foundations.REDIS
POD = "spec.template.spec"
SECURITY = f"{POD}.securityContext"
CONTAINER = f"{POD}.containers.0"
OWN_SECURITY = f"{CONTAINER}.securityContext"
IMAGE = "registry.example/other@sha256:" + "0" * 64
CONTAINER_OF_ANOTHER = {
    "name": "other",
    "image": "registry.example/other:1",
    "resources": {
        amounts: {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
        for amounts in ("requests", "limits")
    },
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
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
    "own trainer": {"trainer": "workload.trainers.energy_load:EnergyLoad?hours=24"},
    "local": {"stack": "local"},
    "local, first preview": {"stack": "local", "preview": True},
    "local, an image that is loaded": {"stack": "local", "image": "workload:mine"},
    "local, with a registry": {"stack": "local", "image_repository": "registry.example/me"},
    "local, a class for the share": {"stack": "local", "share_storage_class": "files"},
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
    found: dict[str, list[str]] = {}
    for name, line in violations(resource, {**BUDGET_DEFAULTS, **config}):
        found.setdefault(name, []).append(line)
    return found


def _parts(path: str) -> list[str]:
    """Split a path at its dots; keys that have dots themselves come last."""
    for key in ("redis.conf", "pod-security.kubernetes.io/"):
        before, found, after = path.partition(f".{key}")
        if found:
            return [*before.split("."), key + after]
    return path.split(".")


def _changed(kind: str, stack: str, changes: dict[str, Any]) -> Resource:
    """Return a resource of our own stack with values at dotted paths set, or taken away."""
    [original] = [r for r in _resources(stack) if r.type == kind and r.name != "apis"][:1]
    properties: Any = copy.deepcopy(original.properties)
    for path, value in changes.items():
        *parents, last = _parts(path)
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
    assert len(resources) > 20
    for resource in resources:
        assert _violations(resource) == {}, resource.name


def test_the_allowed_types_are_those_that_the_stacks_declare_and_no_others() -> None:
    assert {resource.type for stack in STACKS for resource in _resources(stack)} == TYPES


TYPE, BINDING, IDENTITY = "declared-types-only", "declared-bindings-only", "no-identity-for-pods"
VOLUME, IN_NAMESPACE = "volumes-of-the-share-only", "restricted-namespaces"
PUBLIC, RESTRICTED, DIGEST = "no-public-endpoints", "restricted-pods", "images-by-digest"
EQUAL, SPOT, PASSWORD = "requests-equal-limits", "redis-not-on-spot", "redis-has-password"
MANAGED, LABELS, PRODUCTION = "managed-redis-is-guarded", "labelled", "production-is-protected"

CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (PUBLIC, CLUSTER, {"controlPlaneEndpointsConfig.ipEndpointsConfig.enabled": True}, "address"),
    (PUBLIC, CLUSTER, {"controlPlaneEndpointsConfig": ABSENT}, "address"),
    (PUBLIC, SERVICE, {"spec.type": "LoadBalancer"}, "use ClusterIP"),
    (PUBLIC, SERVICE, {"spec.type": "NodePort"}, "use ClusterIP"),
    (PUBLIC, SERVICE, {"spec.externalIPs": ["8.8.8.8"]}, "externalIPs"),
    (PUBLIC, SERVICE, {"spec.type": "ExternalName"}, "use ClusterIP"),
    (PUBLIC, NETWORK_POLICY, {"spec.ingress": [{}]}, "everywhere"),
    (PUBLIC, NETWORK_POLICY, {"spec.ingress": [{"from": []}]}, "everywhere"),
    (PUBLIC, NETWORK_POLICY, {"spec.egress": [{"ports": [{"port": 443}]}]}, "everywhere"),
    (
        PUBLIC,
        NETWORK_POLICY,
        {"spec.egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
        "the addresses 0.0.0.0/0",
    ),
    (
        PUBLIC,
        NETWORK_POLICY,
        {"spec.ingress": [{"from": [{"namespaceSelector": {}}]}]},
        "every namespace",
    ),
    (TYPE, JOB, {"kind": "DaemonSet"}, "kind is DaemonSet in a kubernetes:batch/v1:Job"),
    (TYPE, SERVICE, {"kind": "Pod"}, "kind is Pod"),
    (TYPE, JOB, {"apiVersion": "example.com/v1"}, "apiVersion is example.com/v1"),
    (BINDING, IN_PROJECT, {"role": "roles/owner"}, "gives roles/owner"),
    (BINDING, IN_PROJECT, {"member": "allUsers"}, "to allUsers"),
    (BINDING, IN_PROJECT, {"member": "user:eve@example.com"}, "to user:eve@example.com"),
    (BINDING, IN_REPOSITORY, {"member": "allAuthenticatedUsers"}, "to allAuthenticatedUsers"),
    (BINDING, IN_REPOSITORY, {"role": "roles/artifactregistry.admin"}, "artifactregistry.admin"),
    (IDENTITY, ACCOUNT, {"automountServiceAccountToken": ABSENT}, "token of the API"),
    (IDENTITY, ACCOUNT, {"automountServiceAccountToken": True}, "token of the API"),
    (
        IDENTITY,
        ACCOUNT,
        {"metadata.annotations": {"iam.gke.io/gcp-service-account": "a@b.iam"}},
        "identity on Google Cloud",
    ),
    (VOLUME, PERSISTENT_VOLUME, {"spec.nfs": {"server": "10.0.0.1", "path": "/"}}, "spec.nfs"),
    (VOLUME, PERSISTENT_VOLUME, {"spec.local": {"path": "/etc"}}, "spec.local"),
    (VOLUME, PERSISTENT_VOLUME, {"spec.csi.driver": "other.example"}, "other.example"),
    *(
        (VOLUME, PERSISTENT_VOLUME, {"spec.hostPath": {"path": path}}, f"{path} is the node's own")
        for path in (
            *("/", "//", "/etc", "//etc/kubernetes", "/./etc", "/srv/../etc", "/proc", "/root"),
            *("/var", "/var/lib/kubelet", "/var//lib/kubelet/pods", "/var/run/", "/home"),
        )
    ),
    (IN_NAMESPACE, NAMESPACE, {"metadata.labels.pod-security.kubernetes.io/enforce": ABSENT}, "is"),
    (
        IN_NAMESPACE,
        NAMESPACE,
        {"metadata.labels.pod-security.kubernetes.io/enforce": "privileged"},
        "set the label to restricted",
    ),
    (
        IN_NAMESPACE,
        NAMESPACE,
        {"metadata.labels.pod-security.kubernetes.io/enforce": "baseline"},
        "set the label to restricted",
    ),
    (
        IN_NAMESPACE,
        NAMESPACE,
        {"metadata.labels.pod-security.kubernetes.io/enforce-version": "v1.0"},
        "older standard",
    ),
    (IN_NAMESPACE, JOB, {"metadata.namespace": "kube-system"}, "namespace kube-system"),
    (IN_NAMESPACE, JOB, {"metadata.namespace": "gke-managed-system"}, "gke-managed-system"),
    (IN_NAMESPACE, JOB, {"metadata.namespace": ABSENT}, "namespace default"),
    (IN_NAMESPACE, STATEFUL_SET, {"metadata.namespace": ""}, "namespace default"),
    (RESTRICTED, JOB, {f"{POD}.hostNetwork": True}, "hostNetwork"),
    (RESTRICTED, JOB, {f"{POD}.hostPID": True}, "hostPID"),
    (RESTRICTED, JOB, {f"{POD}.hostIPC": True}, "hostIPC"),
    (RESTRICTED, COMMAND, {"template.spec.hostNetwork": True}, "hostNetwork"),
    (RESTRICTED, JOB, {f"{POD}.automountServiceAccountToken": ABSENT}, "token of the API"),
    (RESTRICTED, JOB, {f"{POD}.automountServiceAccountToken": True}, "token of the API"),
    *(
        (
            RESTRICTED,
            JOB,
            {f"{POD}.volumes.0": {"name": "a", source: {}}},
            f"volume a is a {source}",
        )
        for source in (
            *("hostPath", "nfs", "iscsi", "gcePersistentDisk", "gitRepo", "flexVolume", "image"),
            *("awsElasticBlockStore", "azureFile", "cephfs", "glusterfs", "rbd", "fc", "storageos"),
        )
    ),
    (
        RESTRICTED,
        JOB,
        {
            f"{POD}.volumes.0": {
                "name": "a",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
            }
        },
        "projects a serviceAccountToken",
    ),
    (RESTRICTED, JOB, {f"{SECURITY}.runAsNonRoot": ABSENT}, "may run as root"),
    (RESTRICTED, JOB, {f"{SECURITY}.runAsNonRoot": False}, "may run as root"),
    (
        RESTRICTED,
        JOB,
        {f"{SECURITY}.runAsNonRoot": False, f"{OWN_SECURITY}.runAsNonRoot": True},
        "the pod may run as root",
    ),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.runAsNonRoot": False}, "may run as root"),
    (RESTRICTED, JOB, {f"{SECURITY}.runAsUser": 0}, "user 0"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.runAsUser": 0}, "user 0"),
    (RESTRICTED, JOB, {f"{SECURITY}.seccompProfile": ABSENT}, "seccompProfile"),
    (RESTRICTED, JOB, {f"{SECURITY}.seccompProfile": {}}, "seccompProfile"),
    (RESTRICTED, JOB, {f"{SECURITY}.seccompProfile.type": "Unconfined"}, "seccomp"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.seccompProfile": {"type": "Unconfined"}}, "seccomp"),
    (
        RESTRICTED,
        JOB,
        {
            f"{SECURITY}.seccompProfile.type": "Unconfined",
            f"{OWN_SECURITY}.seccompProfile": {"type": "RuntimeDefault"},
        },
        "the pod has an open seccompProfile",
    ),
    *(
        (RESTRICTED, JOB, {f"{where}.{field}": value}, f"sets securityContext.{field}")
        for where, field, value in (
            (SECURITY, "sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
            (SECURITY, "seLinuxOptions", {"type": "spc_t"}),
            (SECURITY, "appArmorProfile", {"type": "Unconfined"}),
            (SECURITY, "windowsOptions", {"hostProcess": True}),
            (SECURITY, "supplementalGroups", [0]),
            (OWN_SECURITY, "procMount", "Unmasked"),
            (OWN_SECURITY, "seLinuxOptions", {"user": "system_u"}),
            (OWN_SECURITY, "appArmorProfile", {"type": "Unconfined"}),
            (OWN_SECURITY, "windowsOptions", {"hostProcess": True}),
        )
    ),
    (
        RESTRICTED,
        JOB,
        {
            "spec.template.metadata.annotations": {
                "container.apparmor.security.beta.kubernetes.io/workload": "unconfined"
            }
        },
        "container.apparmor.security.beta.kubernetes.io/workload",
    ),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.privileged": True}, "is privileged"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.allowPrivilegeEscalation": ABSENT}, "gain"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.allowPrivilegeEscalation": True}, "gain"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.capabilities": ABSENT}, "keeps"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.capabilities.drop": ["NET_RAW"]}, "keeps"),
    (RESTRICTED, JOB, {f"{OWN_SECURITY}.capabilities.add": ["SYS_ADMIN"]}, "adds"),
    (RESTRICTED, JOB, {f"{CONTAINER}.ports": [{"containerPort": 1, "hostPort": 1}]}, "hostPort"),
    (
        RESTRICTED,
        JOB,
        {f"{CONTAINER}.livenessProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}},
        "livenessProbe of another host",
    ),
    (
        RESTRICTED,
        JOB,
        {f"{CONTAINER}.lifecycle": {"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}},
        "lifecycle.preStop of another host",
    ),
    (RESTRICTED, STATEFUL_SET, {OWN_SECURITY: ABSENT}, "gain privileges"),
    *(
        (DIGEST, JOB, {f"{POD}.{field}": [CONTAINER_OF_ANOTHER | more]}, "of container other")
        for field, more in (
            ("initContainers", {}),
            ("initContainers", {"restartPolicy": "Always"}),
            ("ephemeralContainers", {}),
            ("containers", {}),
        )
    ),
    (DIGEST, JOB, {f"{CONTAINER}.image": f"{IMAGE}0"}, "@sha256:DIGEST"),
    (DIGEST, JOB, {f"{CONTAINER}.image": f"{IMAGE}\n"}, "@sha256:DIGEST"),
    (DIGEST, JOB, {f"{CONTAINER}.image": ABSENT}, "@sha256:DIGEST"),
    (DIGEST, JOB, {f"{CONTAINER}.image": IMAGE.replace("sha256", "md5")}, "@sha256:DIGEST"),
    (DIGEST, COMMAND, {"template.spec.containers.0.image": "workload"}, "@sha256:DIGEST"),
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
    (SPOT, STATEFUL_SET, {f"{POD}.affinity": {"nodeAffinity": "gke-preemptible"}}, "Spot"),
    (
        SPOT,
        STATEFUL_SET,
        {
            f"{CONTAINER}.image": IMAGE,
            f"{POD}.nodeSelector": {"cloud.google.com/gke-spot": "true"},
        },
        "Spot",
    ),
    *(
        (PASSWORD, SECRET, {"stringData.redis.conf": config}, words)
        for config, words in (
            ("port 6379\n", "requirepass"),
            ("requirepass \n", "requirepass"),
            ('requirepass ""\n', "requirepass"),
            ("requirepass ''\n", "requirepass"),
            ("# requirepass secret\n", "requirepass"),
            ('requirepass secret\nREQUIREPASS ""\n', "requirepass"),
            ("requirepass secret\nuser default on nopass ~* +@all\n", "has user"),
            ("requirepass secret\ninclude /data/more.conf\n", "has include"),
            ("requirepass secret\n  aclfile /data/users.acl\n", "has aclfile"),
        )
    ),
    (PASSWORD, SECRET, {"stringData.password": ""}, "password is empty"),
    (PASSWORD, SECRET, {"stringData.password": ABSENT}, "password is empty"),
    (PASSWORD, SECRET, {"data": {"redis.conf": "cG9ydCA2Mzc5"}}, "use stringData"),
    (PASSWORD, GENERATED, {"length": 0}, "0 characters"),
    (PASSWORD, GENERATED, {"length": 8}, "8 characters"),
    (PASSWORD, STATEFUL_SET, {f"{POD}.volumes": []}, "no Secret"),
    (PASSWORD, STATEFUL_SET, {f"{POD}.volumes.1": {"name": "config", "emptyDir": {}}}, "no Secret"),
    *(
        (PASSWORD, STATEFUL_SET, {f"{CONTAINER}.{field}": words}, "takes more than that")
        for field, words in (
            ("command", ABSENT),
            ("command", ["redis-server"]),
            ("command", ["redis-server", "/data/redis.conf"]),
            ("command", ["redis-server", "/etc/redis/redis.conf", "--requirepass", ""]),
            ("command", ["redis-server", "--requirepass", ""]),
            ("command", ["sh", "-c", "redis-server /etc/redis/redis.conf"]),
            ("args", ["--requirepass", ""]),
        )
    ),
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
    "kind", ["core/v1:Pod", "apps/v1:Deployment", "batch/v1:CronJob", "core/v1:PodList"]
)
def test_pods_are_found_whatever_holds_them(kind: str) -> None:
    pod = {"containers": [{"name": "a", "image": "a:latest"}]}
    held: dict[str, dict[str, Any]] = {
        "core/v1:Pod": {"spec": pod},
        "batch/v1:CronJob": {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}},
        "core/v1:PodList": {"items": [{"spec": pod}]},
    }
    properties = held.get(kind, {"spec": {"template": {"spec": pod}}})
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


@pytest.mark.parametrize(
    "path", ["/srv/batch-aiml", "/home/ann/share", "/root/share", "/var/share", "/mnt", "/runs"]
)
def test_a_directory_that_the_node_does_not_live_in_may_be_the_share(path: str) -> None:
    volume = _changed(PERSISTENT_VOLUME, "dev", {"spec.hostPath": {"path": path}})
    assert _violations(volume) == {}


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

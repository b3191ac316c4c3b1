"""The training Job: workers on Spot capacity that claim datasets until the queue is empty."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgsDict
from pulumi_kubernetes.core.v1 import (
    EnvVarArgsDict,
    PodSpecArgsDict,
    PodTemplateSpecArgsDict,
    ResourceRequirementsArgsDict,
    ServiceAccount,
    TolerationArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)
from pulumi_kubernetes.networking.v1 import (
    NetworkPolicy,
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
)

from infra.cluster import SPOT_LABEL
from infra.labels import kubernetes_labels
from infra.pods import SCRATCH, container_security, pod_security, resources
from infra.redis import APP as REDIS_APP
from infra.redis import AUTHORITY_DIRECTORY, CLIENTS, SECRET, WORKER
from infra.volume import MOUNT

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.redis import Queue
    from infra.settings import Settings

NAME = "workload"

APP = {"app": WORKER}

GRACE_SECONDS = 25
"""GKE cuts a Spot pod's grace to this; a worker hands its dataset back within a second."""

NODE_LOST_SECONDS = 30
"""How long a pod of a node that is gone counts as running; Kubernetes would wait 300."""

HANDED_BACK = 75
"""Exit code of a worker that returned its dataset on SIGTERM: no failure."""

FINAL = (2, 3)
"""Exit codes that another try can't change: wrong configuration; dead letters, or halted."""

_DNS_ADDRESSES = ("169.254.20.10/32", "169.254.169.254/32")
"""Resolvers on the node itself, which no pod selector matches: NodeLocal DNSCache, Cloud DNS."""


@dataclass(frozen=True)
class Workload:
    """What a worker's pod is made from.

    Attributes:
        image: reference of the image.
        digest: changes whenever the image does.
        claim: name of the share's PersistentVolumeClaim.
        queue: how to reach Redis.
    """

    image: pulumi.Input[str]
    digest: pulumi.Input[str]
    claim: pulumi.Input[str]
    queue: Queue


class TrainingJob(pulumi.ComponentResource):
    """A Job whose name carries the run and a hash of its specification, since it can't be changed.

    A new run, image or setting of the workers is thereby a new Job and replaces nothing else.

    Attributes:
        job_name: name of the Job.
    """

    job_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: kubernetes.Provider,
        namespace: pulumi.Output[str],
        workload: Workload,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:TrainingJob", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        labels = kubernetes_labels(production=settings.production)
        account = ServiceAccount(
            f"{name}-account",
            metadata={"name": NAME, "namespace": namespace, "labels": labels},
            automount_service_account_token=False,
            opts=child,
        )
        policy = NetworkPolicy(
            f"{name}-policy",
            metadata={"name": NAME, "namespace": namespace, "labels": labels},
            spec={
                "pod_selector": CLIENTS,
                "policy_types": ["Egress"],
                "egress": [_to_dns(), _to_redis(workload.queue)],
            },
            opts=child,
        )
        spec = _job(settings, _worker(settings, {**labels, **APP}, workload))
        job_name = pulumi.Output.json_dumps(spec, sort_keys=True).apply(
            lambda text: f"{NAME}-{settings.run}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        )
        job = Job(
            f"{name}-job",
            metadata={
                "name": job_name,
                "namespace": namespace,
                "labels": {**labels, **APP},
                # Up ends when the workers start, not when they have trained everything.
                "annotations": {"pulumi.com/waitFor": "jsonpath={.status.startTime}"},
            },
            spec=spec,
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[account, policy])
            ),
        )
        self.job_name = job.metadata.name
        self.register_outputs({"job_name": self.job_name})


def _job(settings: Settings, template: PodTemplateSpecArgsDict) -> JobSpecArgsDict:
    return {
        "parallelism": settings.parallelism,
        "completions": settings.parallelism,  # one that drained doesn't stop the others
        "backoff_limit": settings.backoff_limit,
        "active_deadline_seconds": settings.deadline_hours * 3600,
        "pod_replacement_policy": "Failed",
        "pod_failure_policy": {
            "rules": [
                {
                    "action": "Ignore",
                    "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "Ignore",
                    "on_exit_codes": {"operator": "In", "values": [HANDED_BACK]},
                },
                {
                    "action": "FailJob",
                    "on_exit_codes": {"operator": "In", "values": list(FINAL)},
                },
            ]
        },
        "template": template,
    }


def _to_dns() -> NetworkPolicyEgressRuleArgsDict:
    on_the_node: list[NetworkPolicyPeerArgsDict] = [
        {"ip_block": {"cidr": cidr}} for cidr in _DNS_ADDRESSES
    ]
    return {
        "to": [
            {
                "namespace_selector": {
                    "match_labels": {"kubernetes.io/metadata.name": "kube-system"}
                },
                "pod_selector": {
                    "match_expressions": [
                        {
                            "key": "k8s-app",
                            "operator": "In",
                            "values": ["kube-dns", "node-local-dns"],
                        }
                    ]
                },
            },
            *on_the_node,
        ],
        "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")],
    }


def _to_redis(queue: Queue) -> NetworkPolicyEgressRuleArgsDict:
    return {
        "to": [
            {"ip_block": {"cidr": queue.cidr}}
            if queue.cidr is not None
            else {"pod_selector": {"match_labels": REDIS_APP}}
        ],
        "ports": [{"port": queue.port, "protocol": "TCP"}],
    }


def _worker(
    settings: Settings, labels: dict[str, str], workload: Workload
) -> PodTemplateSpecArgsDict:
    amounts = resources(settings.worker_cpu, settings.worker_memory)
    spec = pod(settings, workload, ["work"], amounts)
    spec["node_selector"] = {SPOT_LABEL: "true"} if settings.on_google else None
    spec["tolerations"] = _tolerations(settings)
    return template(labels, workload, spec)


def pod(
    settings: Settings,
    workload: Workload,
    arguments: list[str],
    amounts: ResourceRequirementsArgsDict,
) -> PodSpecArgsDict:
    """A pod of the workload's image with the share, the queue's address and its password.

    Args:
        settings: of the stack.
        workload: what it is made from.
        arguments: of the ``workload`` command.
        amounts: requests and limits.
    """
    queue = workload.queue
    environment: list[EnvVarArgsDict] = [
        {"name": "WORKLOAD_SHARE", "value": MOUNT},
        {"name": "WORKLOAD_TRAINER", "value": settings.trainer},
        {"name": "WORKLOAD_REDIS_URL", "value": queue.url},
        {
            "name": "REDIS_PASSWORD",
            "value_from": {"secret_key_ref": {"name": SECRET, "key": "password"}},
        },
        {
            "name": "WORKLOAD_FIRST_DATASET_WAIT_SECONDS",
            "value": str(settings.first_dataset_wait_minutes * 60),
        },
    ]
    volumes: list[VolumeArgsDict] = [
        {"name": "share", "persistent_volume_claim": {"claim_name": workload.claim}},
        {"name": "scratch", "empty_dir": {"size_limit": SCRATCH}},
    ]
    mounts: list[VolumeMountArgsDict] = [
        {"name": "share", "mount_path": MOUNT},
        {"name": "scratch", "mount_path": "/tmp"},  # noqa: S108 - of the container
    ]
    if queue.authority:
        volumes.append(
            {
                "name": "redis-authority",
                "secret": {"secret_name": SECRET, "items": [{"key": "ca.pem", "path": "ca.pem"}]},
            }
        )
        mounts.append(
            {"name": "redis-authority", "mount_path": AUTHORITY_DIRECTORY, "read_only": True}
        )
    return {
        "restart_policy": "Never",
        "service_account_name": NAME,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": pod_security(settings.worker_uid, settings.worker_uid),
        "termination_grace_period_seconds": GRACE_SECONDS,
        "containers": [
            {
                "name": NAME,
                "image": workload.image,
                "image_pull_policy": "IfNotPresent",
                "args": arguments,
                "env": environment,
                "resources": amounts,
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def template(
    labels: dict[str, str], workload: Workload, spec: PodSpecArgsDict
) -> PodTemplateSpecArgsDict:
    """A pod's template that changes with whatever its processes would not notice."""
    return {
        "metadata": {
            "labels": labels,
            "annotations": {
                "batch-aiml/image": workload.digest,
                "batch-aiml/queue": workload.queue.fingerprint,
            },
        },
        "spec": spec,
    }


def _tolerations(settings: Settings) -> list[TolerationArgsDict]:
    lost: list[TolerationArgsDict] = [
        {
            "key": f"node.kubernetes.io/{condition}",
            "operator": "Exists",
            "effect": "NoExecute",
            "toleration_seconds": NODE_LOST_SECONDS,
        }
        for condition in ("not-ready", "unreachable")
    ]
    if not settings.on_google:
        return lost
    spot: TolerationArgsDict = {
        "key": SPOT_LABEL,
        "operator": "Equal",
        "value": "true",
        "effect": "NoSchedule",
    }
    return [spot, *lost]

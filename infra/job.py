"""The training Job: workers on Spot capacity that claim datasets until the queue is empty."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgsDict
from pulumi_kubernetes.core.v1 import PodTemplateSpecArgsDict, ServiceAccount, TolerationArgsDict
from pulumi_kubernetes.networking.v1 import (
    NetworkPolicy,
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
)

from infra.cluster import SPOT_LABEL
from infra.labels import CLIENTS, WORKER, kubernetes_labels
from infra.pods import resources
from infra.redis import APP as REDIS_APP
from infra.workload_pod import NAME, pod, template

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.redis import Queue
    from infra.settings import Settings
    from infra.workload_pod import Workload

APP = {"app": WORKER}

NODE_LOST_SECONDS = 30
"""How long a pod of a node that is gone counts as running; Kubernetes would wait 300."""

EXIT_CODES = Path(__file__).parents[1] / "workload" / "exit_codes.json"
"""What each exit code of a worker means to the Job."""

_DNS_ADDRESSES = ("169.254.20.10/32", "169.254.169.254/32")
"""Resolvers on the node itself, which no pod selector matches: NodeLocal DNSCache, Cloud DNS."""


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
                    "on_exit_codes": {"operator": "In", "values": _exit_codes("Ignore")},
                },
                {
                    "action": "FailJob",
                    "on_exit_codes": {"operator": "In", "values": _exit_codes("FailJob")},
                },
            ]
        },
        "template": template,
    }


def _exit_codes(action: str) -> list[int]:
    """Return the codes on which a rule of the Job's failure policy takes an action."""
    return [row["code"] for row in json.loads(EXIT_CODES.read_bytes()) if row["job"] == action]


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

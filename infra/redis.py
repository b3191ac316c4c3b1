"""The work queue's Redis: one replica in the cluster."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgsDict,
    PodTemplateSpecArgsDict,
    ProbeArgsDict,
    Secret,
    Service,
)
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_random import RandomPassword

from infra.cluster import POOL_LABEL
from infra.labels import CLIENTS, kubernetes_labels
from infra.pods import container_security, pod_security, resources
from infra.quantities import quantity

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.settings import Settings

SECRET = "redis"  # noqa: S105 - the Secret's name
SERVICE = "redis"
DIRECTORY = "/etc/redis"
"""Where the Secret is mounted, in the pods of Redis and of the workload alike."""

PASSWORD = "password"  # noqa: S105 - the name of its file, and of its key in the Secret
STATEFUL_SET = "redis-leader"
PORT = 6379
APP = {"app": "redis", "role": "leader"}

DATA_SHARE = 0.7
"""Share of the memory limit that data may fill; the rest is for buffers and rewrites."""

_CONFIG = """\
bind * -::*
port 6379
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory {0}mb
maxmemory-policy noeviction
requirepass {1}
"""

_USER, _GROUP = 999, 1000  # the image's own


@dataclass(frozen=True)
class Queue:
    """How a worker reaches Redis.

    Attributes:
        address: host and port, for people.
        url: what `WORKLOAD_REDIS_URL` takes, without the password.
        fingerprint: changes with whatever a running worker would not notice, not secret.
        cidr: address range of a Redis outside the cluster, None inside.
        port: port that it listens on.
        authority: whether the Secret holds a certificate authority under `ca.pem`.
    """

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    cidr: pulumi.Output[str] | None = None
    port: pulumi.Input[int] = PORT
    authority: bool = False


def fingerprint_of(text: pulumi.Output[str]) -> pulumi.Output[str]:
    """Hash a text with 32 random characters in it: shows that it changed, not what it is."""
    return pulumi.Output.unsecret(
        text.apply(lambda value: hashlib.sha256(value.encode()).hexdigest()[:16])
    )


class ClusterRedis(pulumi.ComponentResource):
    """Redis in the cluster: a StatefulSet of one, on-demand capacity, its log on its own disk.

    Attributes:
        queue: how a worker reaches it.
    """

    queue: Queue

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: kubernetes.Provider,
        namespace: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:ClusterRedis", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        labels = kubernetes_labels(production=settings.production)
        password = RandomPassword(
            f"{name}-password", length=32, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        config = pulumi.Output.format(_CONFIG, _megabytes(settings.redis_memory), password.result)
        fingerprint = fingerprint_of(config)
        secret = Secret(
            f"{name}-secret",
            metadata={"name": SECRET, "namespace": namespace, "labels": labels},
            string_data={PASSWORD: password.result, "redis.conf": config},
            opts=child,
        )
        claim: PersistentVolumeClaimSpecArgsDict = {
            "access_modes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{settings.redis_disk_gib}Gi"}},
        }
        # A null would differ from the class that the cluster fills in, and replace the disk.
        if settings.redis_storage_class:
            claim["storage_class_name"] = settings.redis_storage_class
        disk = PersistentVolumeClaim(
            f"{name}-disk",
            metadata={"name": "redis-data", "namespace": namespace, "labels": labels},
            spec=claim,
            opts=child,
        )
        service = Service(
            f"{name}-service",
            metadata={"name": SERVICE, "namespace": namespace, "labels": {**labels, **APP}},
            spec={
                "type": "ClusterIP",
                "selector": APP,
                "ports": [{"name": "redis", "port": PORT, "target_port": PORT, "protocol": "TCP"}],
            },
            opts=child,
        )
        NetworkPolicy(
            f"{name}-policy",
            metadata={"name": "redis", "namespace": namespace, "labels": labels},
            spec={
                "pod_selector": {"match_labels": APP},
                "policy_types": ["Ingress"],
                "ingress": [
                    {
                        "from_": [{"pod_selector": CLIENTS}],
                        "ports": [{"port": PORT, "protocol": "TCP"}],
                    }
                ],
            },
            opts=child,
        )
        StatefulSet(
            f"{name}-leader",
            metadata={"name": STATEFUL_SET, "namespace": namespace, "labels": {**labels, **APP}},
            spec={
                "replicas": 1,
                "service_name": service.metadata.name,
                "selector": {"match_labels": APP},
                "template": _pod(settings, labels, disk, fingerprint),
            },
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[secret])),
        )
        address = pulumi.Output.concat(service.metadata.name, ".", namespace, f":{PORT}")
        self.queue = Queue(
            address=address,
            url=pulumi.Output.concat("redis://", service.metadata.name, f":{PORT}/0"),
            fingerprint=fingerprint,
        )
        self.register_outputs({"address": address})


def _megabytes(limit: str) -> str:
    return str(int(float(quantity(limit)) * DATA_SHARE / 2**20))


def _pod(
    settings: Settings,
    labels: dict[str, str],
    disk: PersistentVolumeClaim,
    fingerprint: pulumi.Output[str],
) -> PodTemplateSpecArgsDict:
    answers: ProbeArgsDict = {
        "exec_": {
            "command": [
                "sh",
                "-c",
                f'REDISCLI_AUTH="$(cat {DIRECTORY}/{PASSWORD})" redis-cli ping | grep -q PONG',
            ]
        },
        "period_seconds": 5,
        "timeout_seconds": 5,
    }
    return {
        "metadata": {
            "labels": {**labels, **APP},
            "annotations": {
                "batch-aiml/config": fingerprint,
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            },
        },
        "spec": {
            "automount_service_account_token": False,
            "enable_service_links": False,
            "security_context": pod_security(_USER, _GROUP),
            "termination_grace_period_seconds": 60,
            "node_selector": {POOL_LABEL: "system"} if settings.cluster == "standard" else None,
            "containers": [
                {
                    "name": "redis",
                    "image": settings.redis_image,
                    "image_pull_policy": "IfNotPresent",
                    "command": ["redis-server", f"{DIRECTORY}/redis.conf"],
                    "ports": [{"name": "redis", "container_port": PORT, "protocol": "TCP"}],
                    "resources": resources(settings.redis_cpu, settings.redis_memory),
                    "security_context": container_security(),
                    # Reading a long append-only file takes a while; the others wait for it.
                    "startup_probe": {**answers, "failure_threshold": 120},
                    "readiness_probe": {**answers, "failure_threshold": 2},
                    "liveness_probe": {
                        "tcp_socket": {"port": PORT},
                        "period_seconds": 10,
                        "failure_threshold": 6,
                    },
                    "volume_mounts": [
                        {"name": "data", "mount_path": "/data"},
                        {"name": "config", "mount_path": DIRECTORY, "read_only": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "data", "persistent_volume_claim": {"claim_name": disk.metadata.name}},
                {
                    "name": "config",
                    "secret": {
                        "secret_name": SECRET,
                        "items": [{"key": name, "path": name} for name in ("redis.conf", PASSWORD)],
                    },
                },
            ],
        },
    }

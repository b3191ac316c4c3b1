"""The pod that runs the workload: a worker's of the Job, and that of an operator's command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.managed_redis import AUTHORITY
from infra.pods import SCRATCH, container_security, pod_security
from infra.redis import DIRECTORY, PASSWORD, SECRET
from infra.volume import MOUNT

if TYPE_CHECKING:
    from pulumi_kubernetes.core.v1 import (
        EnvVarArgsDict,
        PodSpecArgsDict,
        PodTemplateSpecArgsDict,
        ResourceRequirementsArgsDict,
        VolumeArgsDict,
        VolumeMountArgsDict,
    )

    from infra.redis import Queue
    from infra.settings import Settings

NAME = "workload"

GRACE_SECONDS = 25
"""GKE cuts a Spot pod's grace to this; a worker hands its dataset back within a second."""


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


def pod(
    settings: Settings,
    workload: Workload,
    arguments: list[str],
    amounts: ResourceRequirementsArgsDict,
) -> PodSpecArgsDict:
    """Return a pod of the workload's image with share, the queue's address and its password.

    Args:
        settings: of the stack.
        workload: what it is made from.
        arguments: of the `workload` command.
        amounts: requests and limits.
    """
    queue = workload.queue
    environment: list[EnvVarArgsDict] = [
        {"name": "WORKLOAD_SHARE", "value": MOUNT},
        {"name": "WORKLOAD_TRAINER", "value": settings.trainer_specification},
        {"name": "WORKLOAD_REDIS_URL", "value": queue.url},
        {"name": "REDIS_PASSWORD_FILE", "value": f"{DIRECTORY}/{PASSWORD}"},
        {
            "name": "WORKLOAD_FIRST_DATASET_WAIT_SECONDS",
            "value": str(settings.first_dataset_wait_minutes * 60),
        },
    ]
    secrets = [PASSWORD, AUTHORITY] if queue.authority else [PASSWORD]
    volumes: list[VolumeArgsDict] = [
        {"name": "share", "persistent_volume_claim": {"claim_name": workload.claim}},
        {"name": "scratch", "empty_dir": {"size_limit": SCRATCH}},
        {
            "name": "redis",
            "secret": {
                "secret_name": SECRET,
                "items": [{"key": name, "path": name} for name in secrets],
            },
        },
    ]
    mounts: list[VolumeMountArgsDict] = [
        {"name": "share", "mount_path": MOUNT},
        {"name": "scratch", "mount_path": "/tmp"},  # noqa: S108 - of the container
        {"name": "redis", "mount_path": DIRECTORY, "read_only": True},
    ]
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
                # What has no digest is on the node; whoever owns its name elsewhere has no say.
                "image_pull_policy": pulumi.Output.from_input(workload.image).apply(
                    lambda image: "IfNotPresent" if "@sha256:" in image else "Never"
                ),
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
    """Return a pod's template that changes with whatever its processes would not notice."""
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

"""Rules for pods, whatever creates them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infra.quantities import quantity
from policy.rules.resource import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.rules.resource import Resource

_POD = {
    "core/v1:Pod": "spec",
    "core/v1:PodTemplate": "template.spec",
    "batch/v1:CronJob": "spec.jobTemplate.spec.template.spec",
}
_TEMPLATES = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "ReplicationController",
)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_AMOUNTS = ("cpu", "memory", "ephemeral-storage")
_SPOT = ("cloud.google.com/gke-spot", "cloud.google.com/gke-provisioning", "gke-preemptible")


def pod_of(resource: Resource) -> dict[str, Any] | None:
    """Return the pod specification in a resource; None when there is none, or it is not known."""
    if not resource.type.startswith("kubernetes:"):
        return None
    kind = resource.type.split(":", 1)[1]
    path = _POD.get(kind)
    if path is None and kind.rsplit(":", 1)[-1] in _TEMPLATES:
        path = "spec.template.spec"
    pod = resource.get(path) if path else None
    return pod if isinstance(pod, dict) else None


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every container of a pod, the short-lived ones too."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        found = pod.get(field) or []
        if found is not UNKNOWN:
            yield from (container for container in found if isinstance(container, dict))


def restricted(resource: Resource) -> Iterator[str]:
    """Demand the restricted Pod Security Standard, which the namespace enforces too.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    pod = pod_of(resource)
    if pod is None:
        return
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field) is True:
            yield f"spec.{field} is true; leave it out: pods share nothing with their node"
    volumes = pod.get("volumes") or []
    for volume in volumes if volumes is not UNKNOWN else []:
        if isinstance(volume, dict) and "hostPath" in volume:
            yield f"volume {volume.get('name')} is a directory of the node; use a claim"
    security = pod.get("securityContext") or {}
    for container in containers(pod):
        yield from _container(container, security if isinstance(security, dict) else {})


def _container(container: dict[str, Any], pod_security: dict[str, Any]) -> Iterator[str]:
    name = container.get("name")
    own = container.get("securityContext") or {}
    if own is UNKNOWN:
        return
    both = {**pod_security, **own}
    if both.get("runAsNonRoot") not in (True, UNKNOWN):
        yield f"container {name} may run as root; set securityContext.runAsNonRoot to true"
    if both.get("runAsUser") == 0:
        yield f"container {name} runs as user 0; set securityContext.runAsUser to another"
    profile = both.get("seccompProfile") or {}
    if profile is not UNKNOWN and profile.get("type") not in (
        "RuntimeDefault",
        "Localhost",
        UNKNOWN,
    ):
        yield f"container {name} has no seccompProfile; set its type to RuntimeDefault"
    if own.get("privileged") is True:
        yield f"container {name} is privileged; leave securityContext.privileged out"
    if own.get("allowPrivilegeEscalation") not in (False, UNKNOWN):
        yield f"container {name} may gain privileges; set allowPrivilegeEscalation to false"
    capabilities = own.get("capabilities") or {}
    if capabilities is not UNKNOWN:
        dropped = capabilities.get("drop") or []
        if dropped is not UNKNOWN and "ALL" not in dropped:
            yield f"container {name} keeps capabilities; set capabilities.drop to [ALL]"
        if capabilities.get("add") not in (None, [], UNKNOWN):
            yield f"container {name} adds capabilities; leave capabilities.add out"


def by_digest(resource: Resource) -> Iterator[str]:
    """Demand a digest: a tag can be moved to another image."""
    for container in containers(pod_of(resource) or {}):
        image = container.get("image")
        if image is not UNKNOWN and not _DIGEST.search(str(image)):
            yield f"image {image} of container {container.get('name')}: write NAME@sha256:DIGEST"


def requests_equal_limits(resource: Resource) -> Iterator[str]:
    """Demand what Autopilot would set: a difference would come back with every preview."""
    for container in containers(pod_of(resource) or {}):
        resources = container.get("resources") or {}
        if resources is UNKNOWN:
            continue
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        if UNKNOWN in (requests, limits):
            continue
        for amount in _AMOUNTS:
            request, limit = requests.get(amount), limits.get(amount)
            if UNKNOWN in (request, limit):
                continue
            if request is None or limit is None or not _same(request, limit):
                yield (
                    f"container {container.get('name')} requests {request} {amount} with a limit "
                    f"of {limit}; set both to the same amount"
                )


def redis_not_on_spot(resource: Resource) -> Iterator[str]:
    """Keep Redis on demand: a preempted one stops every worker, and may lose its last second."""
    pod = pod_of(resource)
    if pod is None or not _runs_redis(pod):
        return
    for field in ("nodeSelector", "tolerations", "affinity"):
        text = repr(pod.get(field))
        if any(label in text for label in _SPOT):
            yield f"Redis may run on Spot machines by its {field}; leave the Spot label out of it"


def redis_has_password(resource: Resource) -> Iterator[str]:
    """Demand a password: whoever reaches Redis without one decides what the workers do."""
    if resource.has("core/v1:Secret"):
        text = resource.get("stringData")
        config = text.get("redis.conf") if isinstance(text, dict) else None
        if isinstance(config, str) and not re.search(r"(?m)^requirepass \S+", config):
            yield "redis.conf has no requirepass; set a password"
    pod = pod_of(resource)
    if pod is None or not _runs_redis(pod):
        return
    volumes = pod.get("volumes") or []
    from_secret = volumes is UNKNOWN or any(
        volume is UNKNOWN or "secret" in volume for volume in volumes
    )
    commands = [c.get(field) or [] for c in containers(pod) for field in ("command", "args")]
    if not from_secret and "--requirepass" not in repr(commands):
        yield "Redis takes its configuration from no Secret; mount one with requirepass in it"


def _runs_redis(pod: dict[str, Any]) -> bool:
    return any(
        re.search(r"(^|/)(redis|valkey)[:@-]", str(container.get("image")))
        or re.search(r"(redis|valkey)-server", repr(container.get("command")))
        for container in containers(pod)
    )


def _same(request: object, limit: object) -> bool:
    try:
        return quantity(str(request)) == quantity(str(limit))
    except ValueError:
        return request == limit

"""Rules for pods, whatever holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infra.quantities import quantity
from policy.rules.resource import UNKNOWN, items, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.rules.resource import Resource

    Values = Mapping[str, Any]

_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_AMOUNTS = ("cpu", "memory", "ephemeral-storage")

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""Sources of volumes that the standard allows; `projected` without tokens."""

_PROJECTED = {"configMap", "downwardAPI", "secret"}
_NAMED_HOST = {"hostname", "hostnameOverride", "hostAliases", "hostUsers"}
"""Fields of a pod that begin with `host` and give nothing of the node."""

_OF_BOTH = {"runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"}
_OF_POD = _OF_BOTH | {"fsGroup", "fsGroupChangePolicy"}
_OF_CONTAINER = _OF_BOTH | {
    "allowPrivilegeEscalation",
    "capabilities",
    "privileged",
    "readOnlyRootFilesystem",
}
"""What a security context may set: no sysctls, SELinux, AppArmor, proc mount, Windows options."""

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost", UNKNOWN)
_HANDLERS = (
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle.postStart",
    "lifecycle.preStop",
)


def templates_of(resource: Resource) -> Iterator[Values]:
    """Yield whatever holds a pod specification as `spec` in a Kubernetes object."""
    if resource.type.startswith("kubernetes:"):
        yield from _templates(resource.properties)


def _templates(value: object) -> Iterator[Values]:
    if isinstance(value, Mapping):
        if "containers" in mapping(value.get("spec")):
            yield value
        for inner in value.values():
            yield from _templates(inner)
    for inner in items(value):
        yield from _templates(inner)


def containers(pod: Values) -> Iterator[Values]:
    """Yield every container of a pod: those before the others and beside them, and ephemeral."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        yield from map(mapping, items(pod.get(field)))


def _containers(resource: Resource) -> Iterator[Values]:
    for template in templates_of(resource):
        for container in containers(template["spec"]):
            if container:
                yield container


def restricted(resource: Resource) -> Iterator[str]:
    """Demand the whole restricted Pod Security Standard, and no token of the API.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    for template in templates_of(resource):
        pod = template["spec"]
        for field, value in pod.items():
            if field.startswith("host") and field not in _NAMED_HOST and _set(value):
                yield f"spec.{field} is {value}; leave it out: pods share nothing with their node"
        if pod.get("automountServiceAccountToken") not in (False, UNKNOWN):
            yield "the pod gets a token of the API; set automountServiceAccountToken to false"
        for name in mapping(mapping(template.get("metadata")).get("annotations")):
            if name.startswith(_APPARMOR):
                yield f"annotation {name}; leave it out: the default profile applies"
        for volume in map(mapping, items(pod.get("volumes"))):
            yield from _volume(volume)
        security = pod.get("securityContext")
        yield from _context("the pod", mapping(security), _OF_POD)
        for container in containers(pod):
            if container:
                yield from _container(container, security)


def _set(value: object) -> bool:
    return value is not UNKNOWN and bool(value)


def _volume(volume: Values) -> Iterator[str]:
    for source in volume.keys() - {"name"}:
        if source not in _VOLUMES and volume[source] not in (None, UNKNOWN):
            yield f"volume {volume.get('name')} is a {source}; use a claim"
    for projected in map(mapping, items(mapping(volume.get("projected")).get("sources"))):
        for kind in projected.keys() - _PROJECTED:
            yield f"volume {volume.get('name')} projects a {kind}; leave it out"


def _context(whose: str, context: Values, allowed: set[str]) -> Iterator[str]:
    """Check what holds for the security contexts of a pod and of a container alike."""
    for field, value in context.items():
        if field not in allowed and value not in (None, UNKNOWN):
            yield f"{whose} sets securityContext.{field}; leave it out"
    if context.get("runAsNonRoot") is False:
        yield f"{whose} may run as root; set securityContext.runAsNonRoot to true"
    if context.get("runAsUser") == 0:
        yield f"{whose} runs as user 0; set securityContext.runAsUser to another"
    if mapping(context.get("seccompProfile")).get("type", UNKNOWN) not in _PROFILES:
        yield f"{whose} has an open seccompProfile; set its type to RuntimeDefault"


def _container(container: Values, of_pod: object) -> Iterator[str]:
    name = f"container {container.get('name')}"
    for port in map(mapping, items(container.get("ports"))):
        if _set(port.get("hostPort")):
            yield f"{name} takes port {port.get('hostPort')} of its node; leave hostPort out"
    for path in _HANDLERS:
        handler: Any = container
        for part in path.split("."):
            handler = mapping(mapping(handler).get(part))
        for kind in ("httpGet", "tcpSocket"):
            if _set(mapping(handler.get(kind)).get("host")):
                yield f"{name} has a {path} of another host; leave {kind}.host out"
    own = container.get("securityContext")
    if own is UNKNOWN:
        return
    yield from _context(name, mapping(own), _OF_CONTAINER)
    if of_pod is not UNKNOWN:
        yield from _of_either(name, mapping(own), mapping(of_pod))
    yield from _privileges(name, mapping(own))


def _of_either(name: str, own: Values, of_pod: Values) -> Iterator[str]:
    """Demand what a container may take over from its pod."""

    def given(field: str) -> bool:
        return any(context.get(field) not in (None, {}) for context in (own, of_pod))

    if not given("runAsNonRoot"):
        yield f"{name} may run as root; set securityContext.runAsNonRoot to true"
    if not given("seccompProfile"):
        yield f"{name} has no seccompProfile; set its type to RuntimeDefault"


def _privileges(name: str, own: Values) -> Iterator[str]:
    if _set(own.get("privileged")):
        yield f"{name} is privileged; leave securityContext.privileged out"
    if own.get("allowPrivilegeEscalation") not in (False, UNKNOWN):
        yield f"{name} may gain privileges; set allowPrivilegeEscalation to false"
    capabilities = own.get("capabilities")
    if capabilities is UNKNOWN:
        return
    dropped, added = (mapping(capabilities).get(field) for field in ("drop", "add"))
    if dropped is not UNKNOWN and "ALL" not in items(dropped):
        yield f"{name} keeps capabilities; set capabilities.drop to [ALL]"
    if _set(added):
        yield f"{name} adds capabilities; leave capabilities.add out"


def by_digest(resource: Resource) -> Iterator[str]:
    """Demand a digest, since a tag can be moved; or an image that is on the node and never pulled.

    What a local Docker engine has built and a cluster has loaded has no digest of a registry.
    """
    for container in _containers(resource):
        image, pull = container.get("image"), container.get("imagePullPolicy")
        if image is UNKNOWN or _DIGEST.fullmatch(str(image)) or (image and pull == "Never"):
            continue
        yield f"image {image} of container {container.get('name')}: write NAME@sha256:DIGEST"


def requests_equal_limits(resource: Resource) -> Iterator[str]:
    """Demand what Autopilot would set: a difference would come back with every preview."""
    for container in _containers(resource):
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


def _same(request: object, limit: object) -> bool:
    try:
        return quantity(str(request)) == quantity(str(limit))
    except ValueError:
        return request == limit

"""Rules for Redis: who reaches it decides what the workers do."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from policy.rules.foundations import REDIS
from policy.rules.pods import containers, templates_of
from policy.rules.resource import UNKNOWN, items, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policy.rules.resource import Resource

PASSWORD_LENGTH = 32
"""Characters of a generated password: 190 bits."""

_PROGRAMS = ("redis-server", "valkey-server")
_UNDO = ("include", "user", "aclfile")
"""Directives that could undo the password."""

_SPOT = ("cloud.google.com/gke-spot", "cloud.google.com/gke-provisioning", "gke-preemptible")


def managed_redis_is_guarded(resource: Resource) -> Iterator[str]:
    """Demand that managed Redis asks for a password and encrypts what goes over the network."""
    if resource.type != REDIS:
        return
    if resource.get("authEnabled") not in (True, UNKNOWN):
        yield "no password; set authEnabled to true"
    if resource.get("transitEncryptionMode") not in ("SERVER_AUTHENTICATION", UNKNOWN):
        yield "no encryption; set transitEncryptionMode to SERVER_AUTHENTICATION"


def redis_not_on_spot(resource: Resource) -> Iterator[str]:
    """Keep Redis on demand: a preempted one stops every worker, and may lose its last second."""
    for pod, _ in _redis_pods(resource):
        for field in ("nodeSelector", "tolerations", "affinity"):
            text = repr(pod.get(field))
            if any(label in text for label in _SPOT):
                yield (
                    f"Redis may run on Spot machines by its {field}; leave the Spot label out of it"
                )


def redis_has_password(resource: Resource) -> Iterator[str]:
    """Demand a password that is there, from a Secret, and that nothing takes back."""
    if resource.has("index/randomPassword:RandomPassword"):
        length = resource.get("length")
        if length is not UNKNOWN and (length or 0) < PASSWORD_LENGTH:
            yield f"a password of {length or 0:.0f} characters; at least {PASSWORD_LENGTH}"
    if resource.has("core/v1:Secret"):
        yield from _secret(resource)
    for pod, containers_of_redis in _redis_pods(resource):
        for container in containers_of_redis:
            yield from _server(pod, container)


def _secret(resource: Resource) -> Iterator[str]:
    if resource.get("data") not in (None, {}, UNKNOWN):
        yield "data can't be read here; use stringData"
    text = resource.get("stringData")
    if text is UNKNOWN:
        return
    if not mapping(text).get("password"):
        yield "the password is empty; set stringData.password"
    config = mapping(text).get("redis.conf")
    if not isinstance(config, str):
        return
    password = ""
    for line in config.splitlines():
        words = _words(line)
        directive = words[0].lower() if words else ""
        if directive in _UNDO:
            yield f"redis.conf has {directive}, which can undo the password; leave it out"
        elif directive == "requirepass":  # the last one counts
            password = "".join(words[1:])
    if not password:
        yield "redis.conf has no requirepass, or an empty one; set a password"


def _words(line: str) -> list[str]:
    """Split a line of Redis's configuration; what Redis itself would refuse has no words."""
    if line.lstrip().startswith("#"):
        return []
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _server(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    command, arguments = (container.get(field) for field in ("command", "args"))
    mounts, volumes = container.get("volumeMounts"), pod.get("volumes")
    if UNKNOWN in (command, arguments, mounts, volumes):
        return
    words = [*items(command), *items(arguments)]
    if UNKNOWN in (*words, *items(mounts), *items(volumes)):
        return
    secrets = {volume.get("name") for volume in map(mapping, items(volumes)) if "secret" in volume}
    directories = {
        mount.get("mountPath")
        for mount in map(mapping, items(mounts))
        if mount.get("name") in secrets
    }
    if (
        len(words) != 2  # noqa: PLR2004 - program and configuration
        or PurePosixPath(words[0]).name not in _PROGRAMS
        or str(PurePosixPath(words[1]).parent) not in directories
    ):
        yield (
            "Redis takes its configuration from no Secret, or takes more than that; "
            "let its command be redis-server and a file of a mounted Secret"
        )


def _redis_pods(
    resource: Resource,
) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield pods that run Redis, or that the Service of the queue leads to, and their servers."""
    for template in templates_of(resource):
        pod = template["spec"]
        servers = [container for container in containers(pod) if _runs_redis(container)]
        labels = mapping(mapping(template.get("metadata")).get("labels"))
        if not servers and (labels.get("app") == "redis" or resource.has("apps/v1:StatefulSet")):
            servers = [container for container in containers(pod) if container]
        if servers:
            yield pod, servers


def _runs_redis(container: Mapping[str, Any]) -> bool:
    return (
        re.search(r"(^|/)(redis|valkey)[:@-]", str(container.get("image"))) is not None
        or re.search(r"(redis|valkey)-server", repr(container.get("command"))) is not None
    )

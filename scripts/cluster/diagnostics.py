"""What is wrong in the cluster, in one line each, from objects as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workload.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Object = Mapping[str, Any]

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_MOUNTING = {"FailedMount", "FailedAttachVolume"}
_LATER = {"WaitForFirstConsumer", "ExternalProvisioning", "Provisioning"}
"""Events of a claim that is only waiting for its pod."""


def of_pod(pod: Object, events: Sequence[Object] = ()) -> str | None:
    """Return why a pod does not run; None when it does, has ended, or only needs time."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in status.get("containerStatuses", []):
        if wrong := _of_container(name, container):
            return wrong
    if status.get("phase") != "Pending":
        return None
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"pod {name} can't be scheduled: {_line(condition.get('message', ''))}"
    for event in reversed(_about("Pod", name, events)):
        if event["reason"] in _MOUNTING:
            return f"pod {name} can't mount a volume: {_line(event.get('message', ''))}"
    return None


def _of_container(pod: str, container: Object) -> str | None:
    state = container.get("state", {})
    waiting = state.get("waiting", {})
    reason, message = waiting.get("reason", ""), _line(waiting.get("message", ""))
    if reason in _IMAGE:
        return f"pod {pod}: image {container['image']} can't be pulled ({message or reason})"
    if reason in _CONFIGURATION:
        return f"pod {pod} can't start: {message or reason}"
    if reason == "CrashLoopBackOff":
        return f"pod {pod} keeps crashing: {message or reason}"
    if state.get("terminated", {}).get("reason") == "OOMKilled":
        return f"pod {pod} ran out of memory; raise worker_memory"
    return None


def of_claim(claim: Object, events: Sequence[Object] = ()) -> str | None:
    """Return why a claim is not bound; None when it is, or waits for a pod."""
    name, phase = claim["metadata"]["name"], claim.get("status", {}).get("phase")
    if phase == "Bound":
        return None
    told = _about("PersistentVolumeClaim", name, events)
    if told and told[-1]["reason"] in _LATER:
        return None
    reason = _line(told[-1].get("message", "")) if told else f"it is {phase or 'new'}"
    return f"claim {name} can't be bound: {reason}"


def of_job(job: Object, pods: Sequence[Object] = ()) -> str | None:
    """Return why the Job failed; None when it did not."""
    condition = end(job)
    if condition is None or condition["type"] != "Failed":
        return None
    reason, message = condition.get("reason", ""), _line(condition.get("message", ""))
    codes = {code for pod in pods for code in _exit_codes(pod)}
    why = "; ".join(code.meaning for code in ExitCode if code.final and code in codes)
    if ExitCode.USAGE in codes:
        why += " (scripts/logs.sh shows which)"
    return f"Job {job['metadata']['name']} failed: {reason}: {why or message}"


def of_queue(queue: Object) -> Iterator[str]:
    """Yield a line for each dataset that was left out, and one for a halted chain."""
    for letter in queue["dead"]:
        yield f"{letter['dataset']} was {letter['kind']}: {letter['reason']}"
    if queue["halted"]:
        halted = queue["halted"]
        yield (
            f"the chain halted at {halted['dataset']}: {halted['reason']} "
            "(scripts/workload.sh queue retry, or queue skip PATH)"
        )


def everything(
    job: Object | None, pods: Sequence[Object], claims: Sequence[Object], events: Sequence[Object]
) -> list[str]:
    """Return all that is wrong, without what follows from a claim."""
    lines = [line for claim in claims if (line := of_claim(claim, events))]
    wrong = bool(lines)
    lines += [line for line in _of_pods(pods, events) if not (wrong and "unbound" in line)]
    if job is None:
        return [*lines, "the Job does not exist: the last update did not finish; run pulumi up"]
    failed = of_job(job, pods)
    return [*lines, failed] if failed else lines


def _of_pods(pods: Sequence[Object], events: Sequence[Object]) -> Iterator[str]:
    """Yield a line for all pods with the same problem; details are those of the first."""
    alike: dict[str, list[str]] = {}
    for pod in pods:
        if line := of_pod(pod, events):
            what = line.replace(pod["metadata"]["name"], "", 1).partition(" (")[0]
            alike.setdefault(what, []).append(line)
    for first, *others in alike.values():
        more = f" (and {len(others)} more like this)" if others else ""
        yield f"{first}{more}"


def keeps_commands_out(
    pods: Sequence[Object], claims: Sequence[Object], events: Sequence[Object]
) -> bool:
    """Return whether a pod of a command could not start either, or not reach Redis.

    Args:
        pods: the Job's and Redis's; every claim counts when there are none yet.
        claims: all of the namespace.
        events: likewise.
    """
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods
        for volume in pod.get("spec", {}).get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    for claim in claims:
        if (not used or claim["metadata"]["name"] in used) and of_claim(claim, events):
            return True
    wrong = [of_pod(pod, events) or "" for pod in pods]
    return any("can't be pulled" in line or "can't mount" in line for line in wrong)


def ended(job: Object) -> str | None:
    """Return `Complete` or `Failed` when the Job is over, else None."""
    condition = end(job)
    return str(condition["type"]) if condition else None


def end(job: Object) -> Object | None:
    """Return the condition with which the Job is over, else None."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            over: Object = condition
            return over
    return None


def _exit_codes(pod: Object) -> Iterator[int]:
    for container in pod.get("status", {}).get("containerStatuses", []):
        terminated = container.get("state", {}).get("terminated", {})
        if "exitCode" in terminated:
            yield terminated["exitCode"]


def _about(kind: str, name: str, events: Sequence[Object]) -> list[Object]:
    found = [
        event
        for event in events
        if event["involvedObject"].get("kind") == kind and event["involvedObject"]["name"] == name
    ]
    return sorted(found, key=lambda event: event.get("lastTimestamp") or "")


def _line(message: str) -> str:
    return " ".join(message.split())[:300]

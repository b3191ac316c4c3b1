"""What an operator and a cloud do to pods."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from node.waiting import until

if TYPE_CHECKING:
    from apiserver import ControlPlane
    from node.runtime import Runtime

COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Output:
    """How a command in a container ended, and what it printed.

    Attributes:
        code: exit code.
        text: standard output and standard error.
    """

    code: int
    text: str


class Pods:
    """The pods of one namespace.

    Args:
        kubectl: command line that reaches the cluster.
    """

    def __init__(
        self, api: ControlPlane, runtime: Runtime, kubectl: list[str], namespace: str
    ) -> None:
        self._api = api
        self._runtime = runtime
        self._kubectl = [*kubectl, "--namespace", namespace]
        self._path = f"/api/v1/namespaces/{namespace}/pods"

    def create(self, pod: dict[str, Any]) -> None:
        """Create a pod; raise what the API server says against it."""
        response = self._api.request("POST", self._path, pod)
        if not response.ok:
            raise ValueError(response.json()["message"])

    def all(self, selector: str = "") -> list[dict[str, Any]]:
        """Return the pods with the labels, the oldest first."""
        response = self._api.request("GET", f"{self._path}?labelSelector={selector}")
        response.raise_for_status()
        pods: list[dict[str, Any]] = response.json()["items"]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the pod, None when there is none of this name."""
        response = self._api.request("GET", f"{self._path}/{name}")
        if response.status_code == requests.codes.not_found:
            return None
        response.raise_for_status()
        pod: dict[str, Any] = response.json()
        return pod

    def logs(self, name: str) -> str:
        """Return what the pod's container has printed so far, empty before it runs."""
        response = self._api.request("GET", f"{self._path}/{name}/log")
        return response.text if response.ok else ""

    def execute(self, name: str, *command: str) -> Output:
        """Run a command in the pod's container."""
        ran = subprocess.run(
            [*self._kubectl, "exec", name, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return Output(ran.returncode, ran.stdout)

    def delete(self, name: str, grace_seconds: int | None = None) -> None:
        """Delete the pod as `kubectl delete` does, with its own grace when none is given."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self._api.request("DELETE", f"{self._path}/{name}", options).raise_for_status()

    def evict(self, name: str) -> None:
        """Evict the pod by the Eviction API, which marks it as disrupted, as a drain does."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name},
        }
        self._api.request("POST", f"{self._path}/{name}/eviction", eviction).raise_for_status()

    def kill(self, name: str) -> None:
        """Kill the processes of the pod's containers, without grace and without a word."""
        for status in self._statuses(name):
            self._runtime.kill(status["containerID"].removeprefix("containerd://"))

    def until_phase(self, name: str, *phases: str, seconds: float = 180) -> dict[str, Any]:
        """Return the pod, as soon as it is in one of the phases.

        Raises:
            TooLate: with the pod's status.
        """

        def reached() -> dict[str, Any] | None:
            pod = self.get(name)
            return pod if pod and pod["status"].get("phase") in phases else None

        return until(
            f"pod {name} is {' or '.join(phases)}", reached, seconds, lambda: self._story(name)
        )

    def until_ready(self, name: str, seconds: float = 180) -> dict[str, Any]:
        """Return the pod, as soon as it is ready.

        Raises:
            TooLate: with the pod's status.
        """

        def ready() -> dict[str, Any] | None:
            pod = self.get(name)
            conditions = pod["status"].get("conditions", []) if pod else []
            met = {c["type"] for c in conditions if c["status"] == "True"}
            return pod if "Ready" in met else None

        return until(f"pod {name} is ready", ready, seconds, lambda: self._story(name))

    def until_gone(self, name: str, seconds: float = 180) -> None:
        """Return when the pod is gone."""
        until(
            f"pod {name} is gone",
            lambda: self.get(name) is None,
            seconds,
            lambda: self._story(name),
        )

    def events(self, name: str) -> list[str]:
        """Return what has happened to the pod, in the words of its events."""
        namespace = self._path.removesuffix("/pods")
        response = self._api.request(
            "GET", f"{namespace}/events?fieldSelector=involvedObject.name={name}"
        )
        response.raise_for_status()
        return [f"{event['reason']}: {event['message']}" for event in response.json()["items"]]

    def _statuses(self, name: str) -> list[dict[str, Any]]:
        pod = self.get(name)
        statuses = pod["status"].get("containerStatuses", []) if pod else []
        return [status for status in statuses if "running" in status["state"]]

    def _story(self, name: str) -> str:
        pod = self.get(name)
        phase = pod["status"] if pod else "no such pod"
        return "\n".join([str(phase), *self.events(name), self.logs(name)])

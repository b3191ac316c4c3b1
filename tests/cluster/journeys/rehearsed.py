"""A stack on the node, and what the journeys ask of its Job and its share."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from journeys.learned import hashes
from node.waiting import until
from stack_under_test import ROOT, StackUnderTest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.kubernetes_node import Node
    from node.pods import Pods
    from stack_under_test import Result

NAMESPACE = "batch-aiml"
WORKERS = "app=workload"
REDIS = "app=redis"
TRAINING_SECONDS = 600

SMALL_WORKERS = {"worker_cpu": "500m", "worker_memory": "1Gi"}
"""Settings with which several fit on the node."""

Object = dict[str, Any]


@dataclass
class Run:
    """What the commands of one run gave.

    Attributes:
        commands: by name of the script, or `up`.
        began: what began when, in seconds since the epoch.
        seconds: what took how long, in order.
        ended: how the Job ended.
        fetched: file name to SHA-256 of each checkpoint that was fetched.
        unchanged: `pulumi up --refresh --expect-no-changes` after the run.
    """

    commands: dict[str, Result] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    ended: str = ""
    fetched: dict[str, str] = field(default_factory=dict)
    unchanged: Result | None = None

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the body took."""
        self.began[what] = time.time()
        started = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - started


def changed_settings(stack: StackUnderTest) -> list[str]:
    """Return where a stack's configuration differs from the repository's, a line each."""
    name = f"Pulumi.{stack.name}.yaml"
    before, now = (
        yaml.safe_load((directory / name).read_text())["config"]
        for directory in (ROOT, stack.project)
    )
    changed = {k: v for k, v in now.items() if str(v) != str(before.get(k))}
    addresses = [key for key in changed if key.endswith("Endpoint")]
    lines = [f"{key}: {changed[key]}" for key in sorted(changed.keys() - addresses)]
    if addresses:
        lines.append(f"{len(addresses)} addresses of Google's API: {stack.google.address}")
    return lines


@dataclass
class Rehearsal:
    """A stack on the node.

    Attributes:
        node: the cluster.
        stack: what `pulumi` and the scripts are run on.
        share: the directory of this machine that pods see as the share.
        first: what bringing it up gave, and its first run.
    """

    node: Node
    stack: StackUnderTest
    share: Path
    first: Run = field(default_factory=Run)
    pods: Pods = field(init=False)

    def __post_init__(self) -> None:
        self.pods = self.node.pods(NAMESPACE)
        del self.stack.environment["ENGINE_AWAIT"]  # there is a node for things to become ready on

    def bring_up(self, told: Run, /, **settings: object) -> None:
        """Run `pulumi up` with the settings."""
        self.stack.configure(settings)
        with told.timed("pulumi up"):
            told.commands["up"] = self.stack.up("--skip-preview").ok()

    def hand_over(self, run: Run, datasets: Path) -> None:
        """Copy the datasets to the share and queue them."""
        for name, arguments in (("transfer-datasets", [str(datasets)]), ("queue-jobs", [])):
            self._script(run, name, *arguments)

    def follow(self, run: Run) -> None:
        """Wait for the end of the Job."""
        with run.timed("the Job ends"):
            run.ended = self.until_job_ends()

    def collect(self, run: Run, results: Path) -> None:
        """Ask for status and logs, fetch the results, and look for changes of the stack."""
        self._script(run, "fetch-results", str(results))
        run.fetched = hashes(results)
        self._script(run, "status")
        self._script(run, "logs", "--no-follow")
        run.unchanged = self.stack.up("--refresh", "--expect-no-changes")

    def job(self) -> Object:
        """Return the newest Job."""
        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
        response = self.node.api.request("GET", path)
        response.raise_for_status()
        jobs: list[Object] = response.json()["items"]
        return max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def job_end(self) -> str:
        """Return `Complete` or `Failed`; empty while the Job goes on."""
        conditions = self.job()["status"].get("conditions", [])
        true = {c["type"] for c in conditions if c["status"] == "True"}
        return next((kind for kind in ("Complete", "Failed") if kind in true), "")

    def until_job_ends(self) -> str:
        """Return how the Job ended, once it has."""
        return until("the Job ends", self.job_end, TRAINING_SECONDS, self.story)

    def until_worker(self) -> str:
        """Return the name of a worker whose container runs."""
        return until("a worker runs", lambda: self.running(WORKERS), 180, self.story)[0]

    def running(self, selector: str) -> list[str]:
        """Return the names of the pods that run and are not about to go."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods.all(selector)
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def story(self) -> str:
        """Return what the pods say, for an error message."""
        lines = []
        for pod in self.pods.all():
            name = pod["metadata"]["name"]
            lines += [f"{name} {pod['status']['phase']}", *self.pods.events(name)[-5:]]
            lines.append(self.pods.logs(name)[-1500:])
        return "\n".join(lines)

    def until_trained(self, days: int) -> None:
        """Return when the share has so many checkpoints."""
        until(f"{days} days are learned", lambda: self.trained() >= days, 180, self.story)

    def trained(self) -> int:
        """Return how many checkpoints the share has."""
        return len(list((self.share / "output").glob("model_cpt_*.pkl")))

    def _script(self, run: Run, name: str, *arguments: str) -> None:
        with run.timed(f"scripts/{name}.sh"):
            run.commands[name] = self.stack.script(f"{name}.sh", *arguments).ok()

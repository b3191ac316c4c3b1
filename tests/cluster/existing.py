"""A cluster that is there already, for the tests of the stack `local`: `CLUSTER` says which.

`CLUSTER=kubeconfig` takes the cluster of `KUBECONFIG` (and `KUBE_CONTEXT`), and
`CLUSTER=kind` the one that kind knows by the name `KIND_CLUSTER`. All that the run makes is in
one namespace of a new name, and in a PersistentVolume for it; both are removed at the end, however
the tests ended.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.needs import Unable

from scripts.cluster import diagnostics

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKLOAD = Path(__file__).parents[2] / "workload"
WORKER_USER = 10001
"""User and group of the workers; the share's directory must be theirs."""

WAIT_SECONDS = 180
SETTLE_SECONDS = 15
"""How long a refusal to start must last: the first try may come before what it needs."""

ANSWER_SECONDS = "15s"

VARIABLE = "REHEARSAL_CLUSTER"
"""Tells the tests where the description of the cluster is."""

_LOOK = """
import json, os, shutil, sys
root = "/mnt/fileserver"
names = sorted(os.listdir(root))
print(json.dumps({
    "names": names,
    "writable": os.access(root, os.W_OK),
    "checkpoints": len([n for n in os.listdir(root + "/output") if n.startswith("model_cpt_")])
    if "output" in names else 0,
}))
if sys.argv[1] == "empty":
    for name in ("datasets", "output"):
        shutil.rmtree(f"{root}/{name}", ignore_errors=True)
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster, and what the run may use of it.

    Attributes:
        kubeconfig: file that names this cluster only.
        context: its context there.
        namespace: of this run; there is none of this name yet.
        image: the workload's image by digest, or by a tag that the nodes have.
        redis_image: likewise; empty for that of the stack.
        host_path: directory of the only node as the share; empty when there is a class.
        share_class: StorageClass for ReadWriteMany claims.
        redis_class: StorageClass of Redis's disk; empty for the default one.
        program: kubectl.
    """

    kubeconfig: str
    context: str
    namespace: str
    image: str
    redis_image: str = ""
    host_path: str = ""
    share_class: str = ""
    redis_class: str = ""
    program: str = "kubectl"

    @property
    def kubectl(self) -> list[str]:
        """Command line that reaches it."""
        return [self.program, f"--kubeconfig={self.kubeconfig}", f"--context={self.context}"]

    def settings(self) -> dict[str, object]:
        """Return what the stack `local` must be told."""
        settings = {
            "namespace": self.namespace,
            "kube_context": self.context,
            "image": self.image,
            "redis_image": self.redis_image,
            "share_host_path": self.host_path,
            "share_storage_class": self.share_class,
            "redis_storage_class": self.redis_class,
        }
        return {key: value for key, value in settings.items() if value}

    def ask(self, *arguments: str, given: object = None) -> str:
        """Return what kubectl prints.

        Raises:
            Unable: it fails; with its last line.
        """
        return _run(
            [*self.kubectl, f"--request-timeout={ANSWER_SECONDS}", *arguments],
            "kubectl",
            None if given is None else json.dumps(given),
        )

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods of the run with the labels, ended ones too."""
        words = ("get", "pods", "--namespace", self.namespace, "--selector", selector, "-o", "json")
        found: list[dict[str, Any]] = json.loads(self.ask(*words))["items"]
        return found

    def left(self) -> list[str]:
        """Return what there is of the run: its volumes, its namespace, and what that holds."""
        found = self.ask("get", "namespace", self.namespace, "--ignore-not-found", "-o", "name")
        names = found.split()
        if names:
            kinds = "pods,persistentvolumeclaims,jobs,statefulsets,services,secrets"
            names += self.ask("get", kinds, "--namespace", self.namespace, "-o", "name").split()
        return [*names, *(f"persistentvolume/{name}" for name in self._volumes())]

    def _volumes(self) -> list[str]:
        volumes = json.loads(self.ask("get", "persistentvolumes", "-o", "json"))["items"]
        return [
            volume["metadata"]["name"]
            for volume in volumes
            if volume["spec"].get("claimRef", {}).get("namespace") == self.namespace
        ]

    def remove(self) -> None:
        """Delete what there is of the run; a volume that nobody deletes with its claim, too."""
        _run(
            [
                *(*self.kubectl, "delete", "namespace", self.namespace),
                *("--ignore-not-found", f"--timeout={WAIT_SECONDS}s"),
            ],
            "kubectl",
        )
        for volume in self._volumes():
            self.ask("delete", "persistentvolume", volume, "--ignore-not-found", "--wait=false")

    def look(self, *, empty: bool = False) -> dict[str, Any]:
        """Return what is in the share's directory; then, if asked to, without datasets and results.

        Needs that nothing else uses the namespace, which it makes and removes.
        """
        name = f"{self.namespace}-look"
        objects = _look_objects(self, name, "empty" if empty else "look")
        log = ""
        try:
            listed = {"apiVersion": "v1", "kind": "List", "items": objects}
            self.ask("create", "-f", "-", given=listed)
            log = self._log_of_look()
            seen: dict[str, Any] = json.loads(log)
        except ValueError:
            raise Unable(
                f"{self.host_path} can't be listed: {' '.join(log.split())[-300:]}"
            ) from None
        finally:
            self.remove()
        return seen

    def _log_of_look(self) -> str:
        """Return what the pod `look` has printed; raise Unable if something keeps it from that."""
        inside = ("--namespace", self.namespace)
        began, wrong_since = time.monotonic(), 0.0
        while True:
            pod = json.loads(self.ask("get", "pod", "look", *inside, "-o", "json"))
            if pod["status"].get("phase") in ("Succeeded", "Failed"):
                return self.ask("logs", "look", *inside)
            events = json.loads(self.ask("get", "events", *inside, "-o", "json"))["items"]
            wrong = diagnostics.of_pod(pod, events)
            now = time.monotonic()
            wrong_since = (wrong_since or now) if wrong else 0.0
            if (wrong and now - wrong_since > SETTLE_SECONDS) or now - began > WAIT_SECONDS:
                raise Unable(f"{self.host_path} can't be looked at: {wrong or 'its pod waits'}")
            time.sleep(0.5)


def chosen() -> Cluster | None:
    """Return the cluster that the tests run on; None for a node of their own."""
    path = os.environ.get(VARIABLE)
    return Cluster(**json.loads(Path(path).read_text())) if path else None


def new_namespace() -> str:
    """Return a name that nothing else has."""
    return f"batch-aiml-rehearsal-{secrets.token_hex(4)}"


@contextmanager
def prepared(kind: str, scratch: Path) -> Iterator[Cluster]:
    """Yield a cluster that answers, with a share that is empty; leave nothing behind.

    Args:
        kind: `kubeconfig` or `kind`.
        scratch: private directory of the run.

    Raises:
        Unable: it does not answer, or something is missing; one line.
    """
    makers = {"kubeconfig": _of_kubeconfig, "kind": _of_kind}
    if kind not in makers:
        raise Unable(f"CLUSTER={kind}: must be one of {', '.join(makers)}, or unset")
    with ExitStack() as after:
        cluster = makers[kind](new_namespace(), scratch, after)
        _refuse_what_is_there(cluster)
        (scratch / "cluster.json").write_text(json.dumps(asdict(cluster)))
        os.environ[VARIABLE] = str(scratch / "cluster.json")
        if cluster.host_path:
            after.callback(cluster.look, empty=True)
        after.callback(cluster.remove)
        yield cluster


def _of_kubeconfig(namespace: str, scratch: Path, _after: ExitStack) -> Cluster:
    image = os.environ.get("IMAGE", "")
    if not image:
        raise Unable(
            "IMAGE is not set: name the workload's image by digest or a tag that the nodes have"
        )
    host_path, share_class = (
        os.environ.get(name, "") for name in ("SHARE_HOST_PATH", "SHARE_STORAGE_CLASS")
    )
    if bool(host_path) == bool(share_class):
        raise Unable(
            "set SHARE_STORAGE_CLASS to a class for ReadWriteMany volumes, or, where there is one "
            f"node, SHARE_HOST_PATH to an empty directory on it that belongs to user {WORKER_USER}"
        )
    context = os.environ.get("KUBE_CONTEXT", "")
    words = ["kubectl", "config", "view", "--raw", "--flatten", "--minify"]
    text = _run([*words, *([f"--context={context}"] if context else [])], "KUBECONFIG")
    kubeconfig, context = _kept(text, scratch)
    return Cluster(
        kubeconfig,
        context,
        namespace,
        image,
        os.environ.get("REDIS_IMAGE", ""),
        host_path,
        share_class,
        os.environ.get("REDIS_STORAGE_CLASS", ""),
    )


def _of_kind(namespace: str, scratch: Path, after: ExitStack) -> Cluster:
    """Return a cluster of kind: its only node gets the image and a directory, and loses both."""
    name = os.environ.get("KIND_CLUSTER", "kind")
    for program in ("kind", "docker"):
        if shutil.which(program) is None:
            raise Unable(f"{program} is not on PATH: CLUSTER=kind needs kind and Docker")
    text = _run(["kind", "get", "kubeconfig", "--name", name], "kind")
    kubeconfig, context = _kept(text, scratch)
    nodes = _run(["kind", "get", "nodes", "--name", name], "kind").split()
    if len(nodes) != 1:
        raise Unable(f"kind's cluster {name} has {len(nodes)} nodes; the share needs it to have 1")
    [node] = nodes
    image = f"localhost/batch-aiml/workload:{namespace}"
    _run(["docker", "build", "--quiet", "--tag", image, str(WORKLOAD)], "docker build")
    after.callback(_run, ["docker", "image", "rm", image], "docker")
    _run(["kind", "load", "docker-image", image, "--name", name], "kind")
    after.callback(_run, ["docker", "exec", node, "crictl", "rmi", image], "docker")
    directory = f"/srv/{namespace}"
    owner = ("-o", str(WORKER_USER), "-g", str(WORKER_USER))
    _run(["docker", "exec", node, "install", "-d", *owner, directory], "docker")
    after.callback(_run, ["docker", "exec", node, "rm", "-rf", directory], "docker")
    return Cluster(kubeconfig, context, namespace, image, host_path=directory)


def _kept(kubeconfig: str, scratch: Path) -> tuple[str, str]:
    path = scratch / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(kubeconfig)
    current = _run(["kubectl", "config", "current-context", f"--kubeconfig={path}"], "kubectl")
    return str(path), current.strip()


def _refuse_what_is_there(cluster: Cluster) -> None:
    """Raise Unable when the cluster does not answer, or the share is in use."""
    try:
        cluster.ask("get", "--raw", "/version")
    except Unable as error:
        raise Unable(
            f"the cluster of context {cluster.context} can't be reached: {error}"
        ) from None
    if not cluster.host_path:
        return
    if "fileserver" in cluster.ask("get", "persistentvolumes", "-o", "name"):
        raise Unable("the cluster has a PersistentVolume fileserver: a stack of this kind is there")
    seen = cluster.look()
    if seen["names"] or not seen["writable"]:
        problem = f"holds {seen['names'][0]}" if seen["names"] else "can't be written to"
        raise Unable(
            f"SHARE_HOST_PATH={cluster.host_path} {problem}: it must be an empty directory that "
            f"belongs to user {WORKER_USER}"
        )


def _look_objects(cluster: Cluster, name: str, what: str) -> list[dict[str, Any]]:
    from node.manifests import restricted_pod  # noqa: PLC0415 - with all of the node

    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    pod = restricted_pod(
        "look",
        cluster.image,
        (WORKER_USER, WORKER_USER),
        {"look": "/mnt/fileserver"},
        ["python", "-c", _LOOK, what],
    )
    del pod["spec"]["nodeSelector"]
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"]["namespace"] = cluster.namespace
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": cluster.namespace, "labels": enforced},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                **spec,
                "capacity": {"storage": "1Gi"},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"name": "look", "namespace": cluster.namespace},
                "hostPath": {"path": cluster.host_path, "type": "Directory"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "look", "namespace": cluster.namespace},
            "spec": {**spec, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
        },
        pod,
    ]


def _run(command: list[str], what: str, given: str | None = None) -> str:
    ran = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C while it cleans up does not end it
    )
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        raise Unable(f"{what}: {lines[-1]}")
    return ran.stdout

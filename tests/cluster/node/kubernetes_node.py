"""A real Kubernetes cluster of one node, in the namespaces that `inside.py` has furnished.

etcd, API server, all controllers, scheduler, kubelet, containerd, kube-proxy and CoreDNS are what
any cluster has. Three parts stand in for GKE's: `filestore-csi` mounts directories as Filestore's
shares, `provisioner.py` makes the volumes of class `standard-rwo`, and the node carries a label
that only a Spot node has there.

What differs from GKE: a NetworkPolicy is accepted and not enforced. Spot nodes there have a taint,
too, which the only node here can't have, since Redis must not tolerate it. CoreDNS is a process of
the node, not a pod.
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

import requests
from apiserver import ControlPlane, Role
from node.network import ADDRESS, NAME, PODS, SERVICES
from node.pods import Pods
from node.provisioner import Provisioner, storage_class
from node.runtime import Runtime
from node.store import copy
from node.waiting import until
from programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from node.images import Images

DOMAIN = "cluster.local"
SHARE_DRIVER = "filestore.csi.storage.gke.io"

LABELS = {"cloud.google.com/gke-spot": "true"}

LOST_SECONDS = 10
"""How long after its kubelet's last word a node counts as lost; 50 on GKE."""

_ROLE = Role(
    host=ADDRESS,
    services=SERVICES,
    api_server=("--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP"),
    controllers=(
        "--use-service-account-credentials=true",
        f"--node-monitor-grace-period={LOST_SECONDS}s",
        "--node-monitor-period=1s",
        # A volume made just after its claim would be noticed in the next round, 15 seconds later.
        "--pvclaimbinder-sync-period=1s",
    ),
)

_SHARE_DRIVER = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": SHARE_DRIVER},
    "spec": {
        "attachRequired": False,
        "podInfoOnMount": False,
        "fsGroupPolicy": "File",
        "volumeLifecycleModes": ["Persistent"],
    },
}


class Node:
    """A cluster of one node, started and stopped as a context.

    Args:
        tools: directory of the programs that `toolchain/build.py` has built.
        images: what the node can run; nothing can be pulled.
        store: where they are unpacked.
        directory: everything but the logs; its name is that of the node's control group.
        logs: directory of a log for each program.

    Attributes:
        api: the control plane, for requests as an administrator.
        runtime: the container runtime.
        images: as given.
        kubeconfig: kubeconfig file of an administrator.
        kubectl: command line of kubectl that reaches the cluster.
        kubelet_pods: directory of what the kubelet mounts for pods.
    """

    def __init__(
        self, tools: Path, images: Images, store: Path, directory: Path, logs: Path
    ) -> None:
        self.images = images
        self._store = store
        self._tools = tools
        self._directory = directory
        self._programs = Programs(logs)
        self._running = ExitStack()
        self._kubelet_root = directory / "kubelet"
        self.kubelet_pods = self._kubelet_root / "pods"
        self._disks = directory / "volumes"
        self._exports = directory / "exports"
        self.api = ControlPlane(tools, directory / "control-plane", _ROLE, logs)
        self._root = directory / "containerd-root"
        self.runtime = Runtime(logs, directory / "containerd", self._root, images.pause)
        self.kubeconfig = self.api.kubeconfig_path
        self.kubectl = [str(tools / "kubectl"), f"--kubeconfig={self.kubeconfig}"]

    def __enter__(self) -> Self:
        with ExitStack() as running:
            self._start(running)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def pods(self, namespace: str = "default") -> Pods:
        """Return the pods of a namespace."""
        return Pods(self.api, self.runtime, self.kubectl, namespace)

    def export(self, ip: str, share: str) -> Path:
        """Make a share that a Filestore instance at the address would export.

        Returns:
            The directory of this machine that pods will find as the share; it belongs to root, with
            mode 755, as on a new instance.
        """
        directory = self._exports / ip / share
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        return directory

    def disks(self) -> list[str]:
        """Return directories of the volumes that were made for claims of class `standard-rwo`."""
        return sorted(path.name for path in self._disks.glob("*"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or update objects as `kubectl apply` does."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        applied = subprocess.run(
            [*self.kubectl, "apply", "--filename=-"],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if applied.returncode:
            raise ValueError(applied.stdout)

    def names(self, resource: str) -> list[str]:
        """Return the names of all objects of a resource such as `pods`, in every namespace."""
        listed = subprocess.run(
            [*self.kubectl, "get", resource, "--all-namespaces", "--output=name"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        return [line.partition("/")[2] for line in listed.splitlines()]

    def start_kubelet(self) -> None:
        """Start the kubelet, again after `stop_kubelet`."""
        labels = ",".join(f"{key}={value}" for key, value in LABELS.items())
        self._programs.start(
            "kubelet",
            [
                str(self._tools / "kubelet"),
                f"--config={self._written('kubelet.json', self._kubelet_configuration())}",
                f"--kubeconfig={self.kubeconfig}",
                f"--hostname-override={NAME}",
                f"--node-ip={ADDRESS}",
                f"--node-labels={labels}",
                f"--root-dir={self._kubelet_root}",
                f"--cert-dir={self._directory / 'kubelet-certificates'}",
            ],
        )

    def stop_kubelet(self) -> None:
        """Stop the kubelet; the containers go on, and nobody hears of them."""
        self._programs.stop("kubelet")

    @contextmanager
    def lost(self) -> Iterator[None]:
        """Take the node away, as a machine that has lost its power; it boots again afterwards."""
        self.stop_kubelet()
        self.runtime.kill_all()
        try:
            yield
        finally:
            self.start_kubelet()

    def until_ready(self) -> None:
        """Return when the node takes pods that mount a share.

        Raises:
            TooLate: it does not.
        """
        until("the node is ready", self.ready, story=lambda: self._get(f"/api/v1/nodes/{NAME}"))
        until("the share's driver is registered", self._driver_registered)

    def until_lost(self) -> None:
        """Return when the cluster has noticed that the node's kubelet is silent."""
        until("the node is lost", lambda: not self.ready())

    def ready(self) -> bool:
        """Return whether the node's status says so, and no taint keeps pods away."""
        node = self._get(f"/api/v1/nodes/{NAME}")
        if node is None:
            self._check()
            return False
        conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def _start(self, running: ExitStack) -> None:
        with ThreadPoolExecutor(1) as beside:
            running.callback(self.runtime.stop)
            containers = beside.submit(self._start_runtime)
            running.enter_context(self.api)
            # Its clients end before the API server, which otherwise waits for them.
            running.callback(self._programs.stop_all)
            self._start_services()
            running.enter_context(Provisioner(self.api, self._disks))
            containers.result()
        self.start_kubelet()
        self.until_ready()
        until("names are served", self._names_served)
        until("there is a service account", self._service_account)

    def _start_runtime(self) -> None:
        copy(self._store, self._root)
        self.runtime.start()

    def _start_services(self) -> None:
        """Start what needs only the API server."""
        for path, body in (
            ("/apis/storage.k8s.io/v1/csidrivers", _SHARE_DRIVER),
            ("/apis/storage.k8s.io/v1/storageclasses", storage_class()),
        ):
            self.api.request("POST", path, body).raise_for_status()
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self._programs.start(
            "kube-scheduler",
            [
                str(self._tools / "kube-scheduler"),
                kubeconfig,
                "--leader-elect=false",
                "--secure-port=0",
            ],
        )
        self._programs.start(
            "kube-proxy",
            [
                str(self._tools / "kube-proxy"),
                kubeconfig,
                f"--hostname-override={NAME}",
                f"--cluster-cidr={PODS}",
                "--proxy-mode=iptables",
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ],
        )
        corefile = self._directory / "Corefile"
        corefile.write_text(_COREFILE.format(address=ADDRESS, kubeconfig=self.kubeconfig))
        self._programs.start("coredns", [str(self._tools / "coredns"), "-conf", str(corefile)])
        self._programs.start(
            "filestore-csi",
            [str(self._tools / "filestore-csi"), str(self._kubelet_root), str(self._exports)],
        )

    def _kubelet_configuration(self) -> dict[str, Any]:
        resolver = self._directory / "resolv.conf"
        resolver.write_text("")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": self.runtime.endpoint,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._directory.name}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "clusterDNS": [ADDRESS],
            "clusterDomain": DOMAIN,
            "resolvConf": str(resolver),
            "nodeStatusUpdateFrequency": "2s",
            "nodeLeaseDurationSeconds": LOST_SECONDS,
            "volumePluginDir": str(self._directory / "volume-plugins"),
            # The machine's disk may be fuller than a node's; images can't be pulled again.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
        }

    def _written(self, name: str, content: dict[str, Any]) -> Path:
        path = self._directory / name
        path.write_text(json.dumps(content, indent=2))
        return path

    def _driver_registered(self) -> bool:
        node = self._get(f"/apis/storage.k8s.io/v1/csinodes/{NAME}") or {"spec": {}}
        return SHARE_DRIVER in [driver["name"] for driver in node["spec"].get("drivers") or []]

    def _names_served(self) -> bool:
        return requests.get(f"http://{ADDRESS}:8181/ready", timeout=5).ok

    def _service_account(self) -> bool:
        return self._get("/api/v1/namespaces/default/serviceaccounts/default") is not None

    def _get(self, path: str) -> dict[str, Any] | None:
        response = self.api.request("GET", path)
        if response.status_code == requests.codes.not_found:
            return None
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def _check(self) -> None:
        """Raise when a program has ended by itself."""
        self._programs.check()
        self.api.check()


_COREFILE = (
    """\
.:53 {{
    bind {address}
    errors
    ready {address}:8181
    kubernetes """
    + DOMAIN
    + """ {{
        kubeconfig {kubeconfig}
    }}
    cache 5
}}
"""
)

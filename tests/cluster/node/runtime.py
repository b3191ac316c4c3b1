"""The container runtime: containerd with everything it keeps in directories of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from node.needs import Unable, plugin_directory
from node.network import PODS
from node.waiting import until
from programs import Programs

if TYPE_CHECKING:
    from pathlib import Path

    from node.images import Image

_NAMESPACE = "k8s.io"


class Runtime:
    """containerd, and the processes that it started.

    Pods get their addresses from the `ptp` plugin, which routes between them and enforces no
    NetworkPolicy: every pod reaches every other.

    Args:
        logs: where its log goes.
        directory: state, socket and configuration.
        root: images and containers.
        pause: image of the container that holds a pod's namespaces.
    """

    def __init__(self, logs: Path, directory: Path, root: Path, pause: Image) -> None:
        self._programs = Programs(logs)
        self._directory = directory
        self._root = root
        self._pause = pause
        self._socket = directory / "containerd.sock"
        self.endpoint = f"unix://{self._socket}"

    def start(self) -> None:
        """Start containerd, and return when it answers."""
        plugins = plugin_directory()
        if plugins is None:
            raise Unable("no network plugins")
        configuration = self._directory / "containerd.toml"
        networks = self._directory / "networks"
        networks.mkdir(parents=True, exist_ok=True)
        (networks / "10-pods.conflist").write_text(json.dumps(self._network(), indent=2))
        configuration.write_text(
            _CONFIGURATION.format(
                directory=self._directory,
                root=self._root,
                socket=self._socket,
                pause=self._pause.reference,
                plugins=plugins,
                networks=networks,
            )
        )
        self._programs.start("containerd", ["containerd", "--config", str(configuration)])
        until("containerd answers", self._answers)

    def load(self, image: Image) -> None:
        """Read an image from its archive, under its name and digest, and unpack it."""
        name = ("--digests", "--base-name", image.name)
        self._ctr("images", "import", *name, str(image.archive))

    def stop(self) -> None:
        """End every container, then containerd."""
        if self._answers():
            self.kill_all()
        self._programs.stop_all()

    def containers(self) -> list[str]:
        """Return the containers that run, those that hold the pods' namespaces too."""
        return list(self._processes())

    def kill(self, container: str) -> None:
        """Kill the first process of a container, as the kernel does when memory runs out."""
        pid = self._processes().get(container)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def kill_all(self) -> None:
        """Kill every container at once, and return when all have ended."""
        for container in self.containers():
            self.kill(container)
        until("all containers have ended", lambda: not self._processes())

    def _processes(self) -> dict[str, int]:
        """Return the containers that run, with the first process of each."""
        rows = [line.split() for line in self._ctr("tasks", "list").splitlines()[1:]]
        return {name: int(pid) for name, pid, status in rows if status == "RUNNING"}

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["ctr", "--address", str(self._socket), "version"], capture_output=True, check=False
        )
        return asked.returncode == 0

    def _ctr(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["ctr", "--address", str(self._socket), "--namespace", _NAMESPACE, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"ctr {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout

    def _network(self) -> dict[str, object]:
        return {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "ptp",
                    "mtu": 1500,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self._directory / "addresses"),
                        "ranges": [[{"subnet": PODS}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }


_CONFIGURATION = """\
version = 2
root = "{root}"
state = "{directory}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Where this process may not lower its own score, no container could start with a lower one.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{networks}"
"""

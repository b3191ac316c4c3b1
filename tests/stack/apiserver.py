"""A real Kubernetes API server with its controllers, without a node."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import requests
from programs import ProgramError, Programs

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

TOKEN = "engine-tests"  # noqa: S105 - of a server that only this machine reaches
START_SECONDS = 180


class ApiServerError(RuntimeError):
    """A component did not start; the message names its log."""


@dataclass(frozen=True)
class Role:
    """What a control plane is for.

    Attributes:
        host: address that the API server listens at and tells others.
        services: address range of Services.
        api_server: arguments of kube-apiserver, on top of those that any cluster needs.
        controllers: arguments of kube-controller-manager, likewise.
    """

    host: str
    services: str
    api_server: tuple[str, ...]
    controllers: tuple[str, ...]


WITHOUT_NODES = Role(
    host="127.0.0.1",
    services="10.96.0.0/16",
    api_server=("--endpoint-reconciler-type=none",),
    controllers=(
        "--use-service-account-credentials=false",
        "--concurrent-gc-syncs=2",
        "--controllers=garbage-collector-controller,job-controller,namespace-controller,"
        "persistentvolume-binder-controller,persistentvolume-protection-controller,"
        "persistentvolumeclaim-protection-controller,serviceaccount-controller,"
        "statefulset-controller",
    ),
)
"""Accepts, defaults and refuses objects like any cluster, and runs none of them."""


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager of one test directory.

    Args:
        binaries: directory with kube-apiserver and kube-controller-manager.
        directory: data and certificates; starting again continues where it was.
        role: whether nodes will join.
        logs: directory of the logs, the same as the data's when not given.

    Attributes:
        address: host and port of the API server.
        authority: certificate that clients must trust.
        kubeconfig_path: kubeconfig of an administrator.
    """

    def __init__(
        self,
        binaries: Path,
        directory: Path,
        role: Role = WITHOUT_NODES,
        logs: Path | None = None,
    ) -> None:
        self._binaries = binaries
        self._directory = directory
        self._role = role
        self._programs = Programs(logs or directory, orphans=False)
        self.address = f"{role.host}:{_free_port()}"
        self.authority = directory / "certificates" / "apiserver.crt"
        self.kubeconfig_path = directory / "kubeconfig"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until the API server is ready.

        Raises:
            ApiServerError: a component ended, or was not ready in time.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        key = self._directory / "service-account.key"
        if not key.exists():
            self._key(key)
        etcd, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
        self._programs.start(
            "etcd",
            [
                _etcd(),
                f"--data-dir={self._directory / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
            ],
        )
        host, port = self.address.split(":")
        self._programs.start(
            "kube-apiserver",
            [
                str(self._binaries / "kube-apiserver"),
                f"--etcd-servers={etcd}",
                f"--bind-address={host}",
                f"--advertise-address={host}",
                f"--secure-port={port}",
                f"--cert-dir={self.authority.parent}",
                f"--token-auth-file={self._directory / 'tokens.csv'}",
                "--authorization-mode=Node,RBAC",
                f"--service-cluster-ip-range={self._role.services}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                *self._role.api_server,
            ],
        )
        self._ready()
        self.kubeconfig_path.write_text(self._kubeconfig())
        self._programs.start(
            "kube-controller-manager",
            [
                str(self._binaries / "kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig_path}",
                f"--service-account-private-key-file={key}",
                f"--root-ca-file={self.authority}",
                "--leader-elect=false",
                "--secure-port=0",
                *self._role.controllers,
            ],
        )

    def stop(self) -> None:
        """End every process that `start` began, the last first."""
        self._programs.stop_all()

    def check(self) -> None:
        """Check that every component runs.

        Raises:
            ProgramError: one has ended by itself.
        """
        self._programs.check()

    def _kubeconfig(self) -> str:
        return (
            "apiVersion: v1\nkind: Config\ncurrent-context: engine\n"
            f"clusters: [{{name: engine, cluster: {{server: 'https://{self.address}', "
            f"certificate-authority: {self.authority}}}}}]\n"
            f"users: [{{name: engine, user: {{token: {TOKEN}}}}}]\n"
            "contexts: [{name: engine, context: {cluster: engine, user: engine}}]\n"
        )

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> requests.Response:
        """Send a request as the administrator; the body is sent as JSON of media type `kind`."""
        return requests.request(
            method,
            f"https://{self.address}{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": kind},
            verify=str(self.authority),
            timeout=30,
        )

    def _key(self, path: Path) -> None:
        subprocess.run(
            ["openssl", "genrsa", "-out", str(path), "2048"], check=True, capture_output=True
        )

    def _ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self._programs.check()
            except ProgramError as error:
                raise ApiServerError(str(error)) from error
            try:
                if self.request("GET", "/readyz").ok:
                    return
            except (requests.RequestException, OSError):
                pass
            time.sleep(0.1)
        logs = self._programs.logs
        raise ApiServerError(f"no API server after {START_SECONDS} s; see {logs}/*.log")


def _etcd() -> str:
    found = shutil.which("etcd")
    if found is None:
        raise ApiServerError("no etcd on PATH; on Debian and Ubuntu: apt-get install etcd-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

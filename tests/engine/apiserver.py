"""A real Kubernetes API server with its controllers, without a node, on loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

TOKEN = "engine-tests"  # noqa: S105 - of a server that only this machine reaches
START_SECONDS = 60
STOP_SECONDS = 20


class ApiServerError(RuntimeError):
    """A component did not start; the message names its log."""


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager of one test directory.

    Args:
        binaries: directory with kube-apiserver and kube-controller-manager.
        directory: data, certificates and logs; starting again continues where it was.

    Attributes:
        address: host and port of the API server.
        authority: certificate that clients must trust.
        kubeconfig_path: kubeconfig of an administrator.
    """

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = f"127.0.0.1:{_free_port()}"
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
        """Starts everything and waits until the API server is ready.

        Raises:
            ApiServerError: a component ended, or was not ready in a minute.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        key = self._directory / "service-account.key"
        if not key.exists():
            self._key(key)
        etcd, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
        self._run(
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
        self._run(
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
                "--service-cluster-ip-range=10.96.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--endpoint-reconciler-type=none",
            ],
        )
        self._ready()
        self.kubeconfig_path.write_text(self._kubeconfig())
        self._run(
            "kube-controller-manager",
            [
                str(self._binaries / "kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig_path}",
                f"--service-account-private-key-file={key}",
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                "--secure-port=0",
                "--concurrent-gc-syncs=2",
                "--controllers=garbage-collector-controller,job-controller,namespace-controller,"
                "persistentvolume-binder-controller,persistentvolume-protection-controller,"
                "persistentvolumeclaim-protection-controller,serviceaccount-controller,"
                "statefulset-controller",
            ],
        )

    def stop(self) -> None:
        """Ends every process that ``start`` began, the last first."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

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
        """A request as the administrator; the body is sent as JSON of media type ``kind``."""
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

    def _run(self, name: str, command: list[str]) -> None:
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the tests, which stop it in order
                env={**os.environ, "GOMEMLIMIT": "1GiB"},
            )
        self._processes.append(process)

    def _ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for process in self._processes:
                if process.poll() is not None:
                    raise ApiServerError(f"{process.args!r} ended; see {self._directory}/*.log")
            try:
                if self.request("GET", "/readyz").ok:
                    return
            except (requests.RequestException, OSError):
                pass
            time.sleep(0.1)
        raise ApiServerError(f"no API server after {START_SECONDS} s; see {self._directory}/*.log")


def _etcd() -> str:
    found = shutil.which("etcd")
    if found is None:
        raise ApiServerError("no etcd on PATH; on Debian and Ubuntu: apt-get install etcd-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A connection to an API server, made from a kubeconfig as kubectl would."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import requests
import yaml
from faults import ProviderError

SECONDS = 30


class ApiServer:
    """Requests to the API server that a kubeconfig names; see the Kubernetes API conventions."""

    def __init__(self, kubeconfig: str, context: str | None = None) -> None:
        config = yaml.safe_load(kubeconfig)
        name = context or config.get("current-context")
        chosen = _named(config, "contexts", name)["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"]
        self.url = str(cluster["server"]).rstrip("/")
        self._session = requests.Session()
        self._files = tempfile.TemporaryDirectory()
        certificate = self._file(user, "client-certificate")
        if certificate:
            self._session.cert = (certificate, self._file(user, "client-key"))
        else:
            self._session.headers["Authorization"] = f"Bearer {_token(user)}"
        # Without an authority in the kubeconfig the process's own certificates decide.
        authority = self._file(cluster, "certificate-authority") or os.environ.get("SSL_CERT_FILE")
        self._session.verify = (
            False if cluster.get("insecure-skip-tls-verify") else authority or True
        )

    def reachable(self) -> bool:
        """Return whether the server answers at all."""
        try:
            return self._session.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def call(
        self, method: str, path: str, body: object = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        """Send one request; return status and the object or Status it answered."""
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        try:
            answer = self.request(method, path, body, kind, **query)
        except requests.RequestException as error:
            raise ProviderError(f"the cluster at {self.url} does not answer: {error}") from None
        content: dict[str, Any] = answer.json() if answer.content else {}
        return answer.status_code, content

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> requests.Response:
        """Send one request; the body is sent as JSON of media type `kind`."""
        return self._session.request(
            method,
            f"{self.url}{path}",
            params=query,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
            timeout=SECONDS,
        )

    def _file(self, owner: dict[str, Any], key: str) -> str:
        """Return the path of what a kubeconfig names or holds; empty when it does neither."""
        if data := owner.get(f"{key}-data"):
            path = Path(self._files.name) / key
            path.write_bytes(base64.b64decode(data))
            return str(path)
        return str(owner.get(key) or "")


def read_kubeconfig(given: str | None) -> str:
    """Return a kubeconfig: given as text or as a path, or the one that kubectl would take."""
    if given is not None and ("\n" in given or given.startswith("{")):
        return given
    path = Path(given or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not path.exists():
        raise ProviderError(f"no kubeconfig at {path}")
    return path.read_text()


def _named(config: dict[str, Any], section: str, name: str | None) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry["name"] == name:
            return dict(entry)
    raise ProviderError(f"the kubeconfig has no {section[:-1]} {name!r}")


def _token(user: dict[str, Any]) -> str:
    if "token" in user:
        return str(user["token"])
    if "exec" not in user:
        raise ProviderError("the kubeconfig's user has neither a token nor an exec plugin")
    plugin = user["exec"]
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {}}
    try:
        answer = subprocess.run(
            [plugin["command"], *(plugin.get("args") or [])],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info)},
        )
    except FileNotFoundError:
        raise ProviderError(plugin.get("installHint") or f"no {plugin['command']}") from None
    except subprocess.CalledProcessError as error:
        raise ProviderError(f"{plugin['command']}: {error.stderr.strip()}") from None
    return str(json.loads(answer.stdout)["status"]["token"])

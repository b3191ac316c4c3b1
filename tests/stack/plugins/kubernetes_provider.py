"""`pulumi-resource-kubernetes` against a real API server, as strict as the server itself.

Server-side apply, dry runs in previews, replacement for immutable fields and the waits that the
annotations ask for follow pulumi-kubernetes 4.34. Without a node nothing becomes ready:
`ENGINE_AWAIT=none` waits for deletions and `pulumi.com/waitFor` only. `ENGINE_AWAIT_SECONDS`
says how long, unless the resource itself does.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import time
from typing import Any

from kinds import IDENTITY, KINDS, Kind
from kubeconfig import ApiServer, read_kubeconfig
from provider import Live, Operation, Plan, Properties, Provider, ProviderError, serve_provider
from values import Paths, differences, dotted, is_unknown

MANAGER = "pulumi-kubernetes"
DEFAULT_SECONDS = float(os.environ.get("ENGINE_AWAIT_SECONDS", "600"))
POLL_SECONDS = 0.1
_CONFIG = {
    "kubeconfig", "context", "clusterIdentifier", "namespace", "upsertExistingObjects",
}  # fmt: skip
_FOUND, _NOT_FOUND, _CONFLICT, _BAD = 200, 404, 409, 400
_WAIT_FOR = re.compile(r"jsonpath=\{\.([\w.]+)\}")


class KubernetesProvider(Provider):
    """Kubernetes objects of the kinds in `kinds`."""

    version = "4.34.2"

    def __init__(self) -> None:
        self._config: Properties = {}
        self._server: ApiServer | None = None

    def check_config(self, inputs: Properties) -> list[tuple[str, str]]:
        return [
            (name, "no such property") for name in sorted(inputs.keys() - _CONFIG - {"version"})
        ]

    def diff_config(self, old: Properties, new: Properties) -> Plan:
        changed = differences(old, new)
        same = old.get("clusterIdentifier") == new.get("clusterIdentifier")
        if "clusterIdentifier" not in new:
            same = ("kubeconfig",) not in changed and ("context",) not in changed
        return Plan(changed=changed, replacing=set() if same else {("clusterIdentifier",)})

    def configure(self, inputs: Properties) -> None:
        self._config = inputs

    def check(
        self, op: Operation, old: Properties, new: Properties
    ) -> tuple[Properties, list[tuple[str, str]]]:
        _kind(op)
        inputs = {**new}
        metadata = {**(inputs.get("metadata") or {})}
        if "name" not in metadata:
            metadata["name"] = (old.get("metadata") or {}).get("name") or (
                f"{op.name}-{secrets.token_hex(4)}"
            )
        inputs["metadata"] = metadata
        return inputs, []

    def diff(self, op: Operation, old: Properties, state: Properties, new: Properties) -> Plan:
        changed = differences(old, new)
        immutable = (*_kind(op).immutable, *IDENTITY)
        replacing = {
            path
            for path in changed
            if any(
                _within(dotted(path), field) or _within(field, dotted(path)) for field in immutable
            )
        }
        same_name = not any(dotted(path).startswith("metadata.name") for path in changed)
        return Plan(changed, replacing, delete_first=bool(replacing) and same_name)

    def create(self, op: Operation, inputs: Properties) -> tuple[str, Properties]:
        server = self._connected(op, inputs)
        if server is None:
            return "", inputs
        kind, namespace, name = _address(op, inputs)
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        if op.preview:
            query["dryRun"] = "All"
        if self._config.get("upsertExistingObjects"):
            path = kind.path(namespace, name)
            status, live = server.call("PATCH", path, _body(inputs), force="true", **query)
        else:
            status, live = server.call("POST", kind.path(namespace), _body(inputs), **query)
        taken = status == _CONFLICT and live.get("reason") == "AlreadyExists"
        # Its namespace comes, or the object that it replaces goes, with the same update.
        if op.preview and (status == _NOT_FOUND or taken):
            return "", inputs
        if taken:
            raise ProviderError(f"{kind.plural} {name!r} already exists in the cluster")
        _raise(status, live)
        if op.preview:
            return "", inputs
        live = self._await(op, server, kind.path(namespace, name), live)
        return _id(namespace, name), _state(live)

    def read(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Live | None:
        server = self._connected(op, {})
        if server is None:
            return Live(id_, state, inputs)
        namespace, name = _split(id_)
        status, live = server.call("GET", _kind(op).path(namespace, name))
        if status == _NOT_FOUND:
            return None
        _raise(status, live)
        return Live(id_, _state(live), _as_inputs(inputs, live))

    def update(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Properties:
        server = self._connected(op, inputs)
        if server is None:
            return inputs
        kind, namespace, name = _address(op, inputs)
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "true"}
        if op.preview:
            query["dryRun"] = "All"
        status, live = server.call("PATCH", kind.path(namespace, name), _body(inputs), **query)
        _raise(status, live)
        if op.preview:
            return inputs
        return _state(self._await(op, server, kind.path(namespace, name), live))

    def delete(self, op: Operation, id_: str, state: Properties) -> None:
        server = self._connected(op, {})
        if server is None:
            raise ProviderError("the cluster of this object is not known")
        namespace, name = _split(id_)
        path = _kind(op).path(namespace, name)
        status, answer = server.call("DELETE", path, {"propagationPolicy": "Foreground"})
        if status == _NOT_FOUND:
            return
        _raise(status, answer)
        uid = (state.get("metadata") or {}).get("uid")
        deadline = time.monotonic() + (op.timeout or DEFAULT_SECONDS)
        live: dict[str, Any] = {}
        while time.monotonic() < deadline:
            status, live = server.call("GET", path)
            if status == _NOT_FOUND or live.get("metadata", {}).get("uid") != uid:
                return
            time.sleep(POLL_SECONDS)
        held = live.get("metadata", {}).get("finalizers") or live.get("spec", {}).get("finalizers")
        raise ProviderError(f"{path} is still there, held by {held}")

    def secret_outputs(self, op: Operation, state: Properties) -> Paths:
        if not op.type.endswith(":Secret"):
            return set()
        return {(name,) for name in ("data", "stringData") if name in state}

    def _connected(self, op: Operation, inputs: Properties) -> ApiServer | None:
        """Return the API server; None in a preview that can't ask it."""
        if is_unknown(self._config):
            return None
        if self._server is None:
            kubeconfig = read_kubeconfig(self._config.get("kubeconfig"))
            self._server = ApiServer(kubeconfig, self._config.get("context"))
        if op.preview and (is_unknown(inputs) or not self._server.reachable()):
            return None
        return self._server

    def _await(
        self, op: Operation, server: ApiServer, path: str, live: dict[str, Any]
    ) -> dict[str, Any]:
        annotations = live["metadata"].get("annotations", {})
        wanted = annotations.get("pulumi.com/waitFor")
        if annotations.get("pulumi.com/skipAwait") == "true":
            return live
        if wanted is None and os.environ.get("ENGINE_AWAIT") == "none":
            return live
        deadline = time.monotonic() + (op.timeout or DEFAULT_SECONDS)
        while not (_holds(wanted, live) if wanted else _ready(server, live)):
            if time.monotonic() > deadline:
                raise ProviderError(f"{path}: {wanted or 'readiness'} did not come in time")
            time.sleep(POLL_SECONDS)
            status, live = server.call("GET", path)
            _raise(status, live)
        return live


def _holds(wanted: str, live: dict[str, Any]) -> bool:
    """Return whether what the annotation `pulumi.com/waitFor` names is there."""
    match = _WAIT_FOR.fullmatch(wanted)
    if match is None:
        raise ProviderError(f"pulumi.com/waitFor: {wanted!r} is no jsonpath={{.a.b}}")
    value: Any = live
    for part in match[1].split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value is not None


def _ready(server: ApiServer, live: dict[str, Any]) -> bool:
    """Return whether an object is what pulumi-kubernetes waits for (`provider/pkg/await`).

    It also gives a Service ten seconds in which its endpoints may settle; this doesn't.
    """
    status, spec, metadata = live.get("status", {}), live.get("spec", {}), live["metadata"]
    if live["kind"] == "StatefulSet":
        wanted = spec.get("replicas", 1)
        return (
            status.get("observedGeneration") == metadata["generation"]
            and status.get("updateRevision") == status.get("currentRevision")
            and all(status.get(f"{of}Replicas", 0) == wanted for of in ("current", "ready"))
        )
    if live["kind"] == "PersistentVolumeClaim":
        storage = spec.get("storageClassName")
        late = False
        if storage:
            code, found = server.call("GET", f"/apis/storage.k8s.io/v1/storageclasses/{storage}")
            late = code == _FOUND and found["volumeBindingMode"] == "WaitForFirstConsumer"
        return status.get("phase") == "Bound" or (late and status.get("phase") == "Pending")
    if live["kind"] == "Service" and spec.get("selector") and spec.get("clusterIP") != "None":
        path = f"/api/v1/namespaces/{metadata['namespace']}/endpoints/{metadata['name']}"
        code, found = server.call("GET", path)
        pending = [s for s in found.get("subsets") or [] if s.get("notReadyAddresses")]
        return code == _FOUND and not pending
    return True


def _kind(op: Operation) -> Kind:
    if op.type not in KINDS:
        raise ProviderError(f"{op.type}: no kind that this stand-in knows")
    return KINDS[op.type]


def _address(op: Operation, inputs: Properties) -> tuple[Kind, str | None, str]:
    kind, metadata = _kind(op), inputs["metadata"]
    return (
        kind,
        metadata.get("namespace") or "default" if kind.namespaced else None,
        metadata["name"],
    )


def _id(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _split(id_: str) -> tuple[str | None, str]:
    namespace, _, name = id_.rpartition("/")
    return namespace or None, name


def _body(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if value is not None}


def _state(live: dict[str, Any]) -> Properties:
    metadata = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
    return {**live, "metadata": metadata}


def _as_inputs(inputs: Properties, live: dict[str, Any]) -> Properties:
    """Return the inputs with the values that the live object has for them."""
    if inputs.get("kind") == "Secret" and "stringData" in inputs:
        data = live.get("data") or {}
        text = {k: base64.b64decode(v).decode() for k, v in data.items()}
        live = {**live, "stringData": {k: text[k] for k in inputs["stringData"] if k in text}}
    taken = _take(inputs, live)
    assert isinstance(taken, dict)
    return taken


def _take(wanted: Any, live: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict):
        found = {key: _take(value, live.get(key)) for key, value in wanted.items()}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_take(a, b) for a, b in zip(wanted, live, strict=True)]
    if live is None and wanted in ("", 0, False, [], {}):
        return wanted  # the API leaves empty values out
    return live


def _within(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def _raise(status: int, answer: dict[str, Any]) -> None:
    if status >= _BAD:
        raise ProviderError(str(answer.get("message") or f"status {status}"))


if __name__ == "__main__":
    serve_provider(KubernetesProvider())

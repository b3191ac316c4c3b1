"""The fake as an HTTP server on a loopback port, with a control endpoint for tests."""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from fakes.google_api import compute, container, projects, routing, storage
from fakes.google_api.store import ApiError, Object, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FakeGoogle", "compute", "container", "projects", "storage"]


GATE_SECONDS = 90


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that died with their connections open."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class _Gate:
    method: str
    path: str
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


class FakeGoogle:
    """A fake of Google Cloud for one test.

    Args:
        directory: where objects and the log of requests are kept.
        cluster_endpoint: host and port that clusters give as their DNS endpoint.

    Attributes:
        address: `http://127.0.0.1:PORT`.
        faults: what to do to requests that come, each used up `times` times: `method` and
            `path` (a pattern) say which; `status` and `message` refuse it at once;
            `operation_error` lets its operation end in that error, with the object `left`
            behind or not; `polls` makes the operation take that many polls.
    """

    def __init__(self, directory: Path, cluster_endpoint: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.store = Store(directory / "google.json")
        self.cluster_endpoint = cluster_endpoint
        self.faults: list[dict[str, Any]] = []
        self.refused_hosts: list[str] = []
        self._log = (directory / "google.log").open("a", buffering=1)
        self._lock = threading.RLock()
        self._gates: list[_Gate] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def objects(self) -> dict[str, Object]:
        """Return what exists, but for enabled services, which outlive a stack."""
        with self._lock:
            return {
                name: value
                for name, value in self.store.objects.items()
                if not name.startswith("services/")
            }

    def change(self, name: str, value: Object | None) -> None:
        """Change an object behind everyone's back: fields of `value`, or all of it gone."""
        with self._lock:
            if value is None:
                self.store.delete(name)
            else:
                self.store.get(name).update(value)
            self.store.save()

    @contextmanager
    def waiting_for(self, method: str, path: str) -> Iterator[None]:
        """Run the body when such a request has come; its answer waits until the body is done."""
        gate = _Gate(method, path)
        self._gates.append(gate)
        assert gate.reached.wait(GATE_SECONDS), f"no {method} {path} in {GATE_SECONDS} s"
        try:
            yield
        finally:
            self._gates.remove(gate)
            gate.opened.set()

    def _pass(self, method: str, path: str) -> None:
        for gate in list(self._gates):
            if gate.method == method and re.fullmatch(gate.path, path):
                gate.reached.set()
                gate.opened.wait(GATE_SECONDS)

    def answer(self, method: str, path: str, query: dict[str, str], body: Object) -> Any:
        """Answer one request.

        Raises:
            ApiError: the answer is a refusal.
        """
        with self._lock:
            fault = self._fault(method, path)
            if "status" in fault:
                raise ApiError(fault["status"], fault["message"])
            request = routing.Request(self.store, self.address, self.cluster_endpoint, body, query)
            request.polls = fault.get("polls", 0)
            request.failure = fault.get("operation_error")
            before = dict(self.store.objects)
            try:
                result = routing.dispatch(method, path, request)
                if request.failure and not fault.get("left"):
                    self.store.objects = before
                elif request.failure:
                    for name in self.store.objects.keys() - before.keys():
                        self.store.objects[name].update(state="ERROR", status="ERROR")
                return result
            finally:
                self.store.save()

    def _fault(self, method: str, path: str) -> dict[str, Any]:
        for fault in self.faults:
            if fault.get("times", 1) < 1 or fault.get("method", method) != method:
                continue
            if re.search(fault["path"], path):
                fault["times"] = fault.get("times", 1) - 1
                return fault
        return {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                code, result = 200, None
                try:
                    body = json.loads(raw or b"{}")
                    fake._pass(self.command, unquote(url.path))
                    result = fake.answer(self.command, unquote(url.path), query, body)
                except ApiError as error:
                    code = error.code
                    result = {
                        "error": {
                            "code": code,
                            "message": error.message,
                            "status": error.status,
                            "errors": [{"message": error.message, "reason": error.status}],
                        }
                    }
                entry = {"code": code, "method": self.command, "path": self.path}
                fake._log.write(json.dumps({**entry, "body": raw.decode()}) + "\n")
                content = json.dumps(result).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

            def do_CONNECT(self) -> None:
                fake.refused_hosts.append(self.path)
                self.send_error(403, "nothing leaves this machine")

            def log_message(self, *_: object) -> None:
                pass

        return Handler

"""A cluster on this machine: stand-ins for kubectl and pulumi that run pods' commands for real."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
JOB = "workload-1-0123abcd"
TOKEN = "kubeconfig-token-that-nobody-may-see"  # noqa: S105 - of a stand-in

TEMPLATE = {
    "metadata": {"name": "workload-command"},
    "template": {
        "metadata": {"labels": {"app": "workload-command"}, "creationTimestamp": None},
        "spec": {
            "activeDeadlineSeconds": 3600,
            "containers": [{"name": "workload", "image": "workload@sha256:1", "args": ["--help"]}],
        },
    },
}

OUTPUTS = {
    "namespace": "batch-aiml",
    "job_name": JOB,
    "share_mount": "/mnt/fileserver",
    "kubeconfig": "[secret]",
    "estimated_hourly_usd": {"idle": 0.5, "training": 0.25, "not_priced": []},
}

KUBECTL = f"""#!{sys.executable} -IS
import contextlib, json, os, signal, subprocess, sys, threading
from pathlib import Path

here = Path(__file__).parent
words = sys.argv[1:]
config = words[words.index("--kubeconfig") + 1] if "--kubeconfig" in words else None
with (here / "calls").open("a") as calls:
    text = Path(config).read_text() if config else ""
    mode = oct(Path(config).stat().st_mode & 0o777) if config else ""
    calls.write(json.dumps([words, text.strip(), mode, config]) + "\\n")
state = json.loads((here / "state.json").read_text())
pods = here / "pods"
flags = ("--request-timeout=30s", "--output=json", "--ignore-not-found")
words = [word for word in words if word not in flags]
assert words[:2] == ["--namespace", "batch-aiml"], words
words = words[2:]
while words[0] in ("--context", "--kubeconfig"):
    words = words[2:]

def finish(code, text=""):
    if text:
        print(text, file=sys.stderr if code else sys.stdout)
    sys.exit(code)

verb, rest = words[0], words[1:]
if verb == "get":
    kind, name = rest[0], rest[1] if len(rest) > 1 else ""
    if kind == "podtemplate":
        finish(0, json.dumps(state["template"]))
    if kind == "pod":
        if not (pods / name).exists():
            finish(1, 'Error from server (NotFound): pods "' + name + '" not found')
        pod = json.loads((pods / name).read_text())
        finish(0, json.dumps({{**pod, "status": state["pod_status"]}}))
    if kind in ("job", "namespace"):
        sequence = state[kind]
        if not sequence:
            finish(0)
        if len(sequence) > 1:
            state[kind] = sequence[1:]
            (here / "state.json").write_text(json.dumps(state))
        finish(0, json.dumps(sequence[0]))
    if kind == "pods":
        kind = "redis" if "app=redis" in name else "pods"
    finish(0, json.dumps({{"items": state[kind]}}))
if verb == "create":
    pod = json.load(sys.stdin)
    (pods / pod["metadata"]["name"]).write_text(json.dumps(pod))
    (here / "made").open("a").write(json.dumps(pod) + "\\n")
    finish(0, "created")
if verb == "delete":
    assert rest[0] == "pod", rest
    (pods / rest[1]).unlink(missing_ok=True)
    for running in (here / "running").glob(rest[1] + ".*"):  # a pod's processes end with it
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(running.suffix[1:]), signal.SIGKILL)
    finish(0)
if verb == "logs":
    finish(0, "Processing dataset: " + rest[0])
assert verb == "exec", words
pod = rest[rest.index("--") - 1]
if not (pods / pod).exists():
    finish(1, "pod not found")
command = rest[rest.index("--") + 1 :]
assert command[:3] == ["python", "-m", "workload"], command
process = [{sys.executable!r}, *command[1:]]
environment = {{**os.environ, **state["environment"]}}
if command[3:] not in (["share", "receive"], ["share", "send"]):
    child = subprocess.Popen(process, env=environment)
    (here / "running").mkdir(exist_ok=True)
    running = here / "running" / (pod + "." + str(child.pid))
    running.touch()
    code = child.wait()
    running.unlink()
    finish(code, f"command terminated with exit code {{code}}" if code else "")

breaks = state["breaks"]
limit = breaks.pop(0) if breaks else None
(here / "state.json").write_text(json.dumps(state))
child = subprocess.Popen(
    process, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    stderr=None if limit is None else subprocess.DEVNULL,
)
asked, answered = (sys.stdin.buffer.raw, child.stdin), (child.stdout, sys.stdout.buffer.raw)

def relay(source, sink, limit=sys.maxsize):  # passes so many bytes on, as they come
    passed = 0
    while passed < limit and (chunk := source.read(min(65536, limit - passed))):
        passed += len(chunk)
        with contextlib.suppress(BrokenPipeError):
            while chunk:
                chunk = chunk[sink.write(chunk) :]
    if source is (child.stdout if command[4] == "send" else sys.stdin.buffer.raw):
        (here / "passed").open("a").write(f"{{passed}}\\n")
    if sink is child.stdin:
        with contextlib.suppress(BrokenPipeError):
            sink.close()

def relayed(*arguments):
    thread = threading.Thread(target=relay, args=arguments, daemon=True)
    thread.start()
    return thread

message = "error: lost connection to pod"
if limit is None:
    relayed(*asked)
    answers = relayed(*answered)
    code = child.wait()
    answers.join()
    message = f"command terminated with exit code {{code}}" if code else ""
elif limit < 0 or command[4] == "send":  # of what is answered; else of what is asked
    relayed(*asked)
    relay(*answered, abs(limit))
    child.kill()
    code = 1
else:
    answers = relayed(*answered)
    relay(*asked, limit)
    child.wait()
    answers.join()
    code = 1
print(message, end="\\n" if message else "", file=sys.stderr, flush=True)
os._exit(code)  # what is asked may still be waited for
"""
"""Keeps pods as files, runs what they are told on this machine, breaks connections as told."""

PULUMI = f"""#!{sys.executable} -IS
import json, sys
from pathlib import Path

here = Path(__file__).parent
words = sys.argv[1:]
with (here / "pulumi-calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
state = json.loads((here / "state.json").read_text())
if words[2:5] == ["stack", "output", "--json"]:
    print(json.dumps(state["outputs"]))
elif words[2:5] == ["stack", "output", "kubeconfig"]:
    print("token: {TOKEN}")
elif words[2] == "preview":
    print("estimate: 249 USD a month idle")
"""


@dataclass
class Cluster:
    """A share, a Redis, the stand-ins, and what they are to answer."""

    path: Path
    share: Path
    redis_url: str
    outputs: dict[str, Any] = field(default_factory=lambda: dict(OUTPUTS))
    pod_status: dict[str, Any] = field(default_factory=lambda: {"phase": "Running"})
    job: list[dict[str, Any]] = field(default_factory=lambda: [job()])
    pods: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    package: str = str(ROOT)
    """Where the package is that pods run."""
    breaks: list[int] = field(default_factory=list)
    """Bytes after which a transfer breaks; negative: of the pod's answers to a sender."""

    def __post_init__(self) -> None:
        (self.path / "pods").mkdir(parents=True)
        self.share.mkdir()
        _executable(self.path / "kubectl", KUBECTL)
        _executable(self.path / "pulumi", PULUMI)
        # The operator's Python has no packages.
        _executable(
            self.path / "python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n'
        )

    def set_up(self) -> dict[str, str]:
        """Tell the stand-ins what to answer; return the environment of a script."""
        state = {
            "template": TEMPLATE,
            "outputs": self.outputs,
            "pod_status": self.pod_status,
            "job": self.job,
            "namespace": [{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}],
            "pods": self.pods,
            "redis": [],
            "events": self.events,
            "persistentvolumeclaims": self.claims,
            "breaks": self.breaks,
            "environment": {
                "WORKLOAD_SHARE": str(self.share),
                "WORKLOAD_REDIS_URL": self.redis_url,
                "PYTHONPATH": self.package,
            },
        }
        (self.path / "state.json").write_text(json.dumps(state))
        return {
            "PATH": f"{self.path}:/usr/bin:/bin",
            "BATCH_PAUSE": "0.01",
            "TMPDIR": str(self.path),
        }

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a script; afterwards nothing that it made may be left."""
        done = subprocess.run(
            [ROOT / "scripts" / f"{script}.sh", *map(str, arguments)],
            env=self.set_up(),
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert self.left() == []
        assert TOKEN not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def left(self) -> list[str]:
        """Return the pods and temporary directories that are still there."""
        return [p.name for pattern in ("pods/*", "tmp.*") for p in self.path.glob(pattern)]

    def running(self) -> list[int]:
        """Return the processes of the pods' commands that have not ended."""
        pids = [int(path.suffix[1:]) for path in (self.path / "running").glob("*")]
        return [pid for pid in pids if psutil.pid_exists(pid)]

    def made(self) -> list[dict[str, Any]]:
        """Return the pods that were created so far."""
        path = self.path / "made"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def passed(self) -> list[int]:
        """Return the bytes that each transfer has moved: lists and files, without the answers."""
        path = self.path / "passed"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self, tool: str = "calls") -> list[Any]:
        """Return what kubectl (with its configuration: text, mode, path) or pulumi was asked."""
        return [json.loads(line) for line in (self.path / tool).read_text().splitlines()]


def job(**status: Any) -> dict[str, Any]:
    """Return a Job as the API shows it."""
    return {"metadata": {"name": JOB, "namespace": "batch-aiml"}, "status": status}


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)

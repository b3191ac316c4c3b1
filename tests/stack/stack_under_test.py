"""A stack of this repository, driven by the literal commands of the Pulumi CLI."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from apiserver import TOKEN
from fakes.google_api import provider_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fakes.google_api.server import FakeGoogle

ROOT = Path(__file__).parents[2]
PLUGINS = Path(__file__).parent / "plugins"
PROJECT = "batch-aiml-tests"
PASSPHRASE = "engine-tests"  # noqa: S105 - of a state file that lives as long as a test
COMMAND_SECONDS = 900

FIXED_NAMES = {
    "share-filestore": f"projects/{PROJECT}/locations/us-central1-b/instances/batch-aiml-filestore",
    "cluster-gke": f"projects/{PROJECT}/locations/us-central1/clusters/batch-aiml",
    "images-repository": f"projects/{PROJECT}/locations/us-central1/repositories/batch-aiml",
    "nodes-account": f"projects/{PROJECT}/serviceAccounts/batch-aiml-nodes@{PROJECT}"
    ".iam.gserviceaccount.com",
}
"""Google resources that a second creation would collide with, and where they are."""

EXECUTABLES = {
    "pulumi-language-python": "language_host.py",
    "pulumi-resource-kubernetes": "kubernetes_provider.py",
    "pulumi-resource-random": "random_provider.py",
    "pulumi-resource-docker-build": "docker_build_provider.py",
}
"""Names that the engine looks for on PATH, and what stands in for them."""

PROGRAM = ("Pulumi.yaml", "__main__.py", "infra", "policy", "scripts")
"""What of this repository a stack consists of, besides its own file and what a test may edit."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Reached(Protocol):
    """How a cluster is reached.

    Attributes:
        address: host and port of its API server.
        authority: certificate that the commands must trust.
        kubeconfig_path: kubeconfig of whoever runs them.
    """

    @property
    def address(self) -> str: ...

    @property
    def authority(self) -> Path: ...

    @property
    def kubeconfig_path(self) -> Path: ...


@dataclass
class Result:
    """How a command ended and what it printed, without colours."""

    code: int
    output: str

    @property
    def errors(self) -> list[str]:
        """What is said to have gone wrong; the CLI shows each twice, as it comes and at the end."""
        told = [
            line.split("error: ", 1)[1] for line in self.output.splitlines() if "error: " in line
        ]
        final = ("preview failed", "update failed")
        return [line for line in dict.fromkeys(told) if line not in final]

    @property
    def failed(self) -> set[str]:
        """Names of the resources that errors are reported for."""
        found, name = set(), ""
        for line in self.output.partition("Diagnostics:")[2].splitlines():
            if match := re.fullmatch(r"  \S+ \((\S+)\):", line):
                name = match[1]
            elif line.startswith("    error: "):
                found.add(name)
        return found

    def ok(self) -> Result:
        """Return itself; fail when the command did."""
        assert self.code == 0, self.output
        return self


@dataclass
class Step:
    """One planned change: `create`, `update`, `replace`, `delete` … of a resource."""

    operation: str
    type: str
    name: str


@dataclass
class StackUnderTest:
    """A stack in a directory of its own, with its own state, against fakes and an API server.

    The program and the stack's configuration file are those of the repository; what the commands
    are given on top of it is `overrides`: the project, the images and where Google is.

    Attributes:
        faults: what `inject` writes.
        project: the directory of the program.
        logs: where the CLI would log every command; it does after `keep_logs`.
    """

    directory: Path
    binaries: Path
    google: FakeGoogle
    cluster: Reached
    name: str = "dev"
    python: Sequence[str] = (sys.executable, "-u")
    faults: Path = field(init=False)
    project: Path = field(init=False)
    logs: Path = field(init=False)

    def __post_init__(self) -> None:
        self.faults = self.directory / "faults.json"
        self.project = self.directory / "project"
        self.logs = self.directory / "home" / ".pulumi" / "logs"
        self.project.mkdir(parents=True)
        for part in PROGRAM:
            (self.project / part).symlink_to(ROOT / part)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "workload", self.project / "workload", ignore=ignored)
        shutil.copy(ROOT / f"Pulumi.{self.name}.yaml", self.project)
        self._path = self.directory / "bin"
        write_executables(self._path)
        self.environment = self._environment()
        (self.directory / "state").mkdir()
        self.run("stack", "init", self.name).ok()
        self.configure(self.overrides())

    def overrides(self) -> dict[str, object]:
        """Return what the test sets on top of the repository's configuration."""
        if self.name == "local":
            return {}
        return {
            "gcp:project": PROJECT,
            # The provider would wait 3 seconds for more requests to send together.
            "gcp:batching": '{"enableBatching": false}',
            **provider_config(self.google.address),
        }

    def configure(self, values: Mapping[str, object]) -> None:
        """Set configuration values, as a user would."""
        if not values:
            return
        settings = [f"{key}={_text(value)}" for key, value in values.items()]
        given = [part for setting in settings for part in ("--plaintext", setting)]
        self.run("config", "set-all", *given).ok()

    @contextmanager
    def configured(self, **values: object) -> Iterator[None]:
        """Set configuration values for a while."""
        file = self.project / f"Pulumi.{self.name}.yaml"
        before = file.read_text()
        try:
            self.configure(values)
            yield
        finally:
            file.write_text(before)

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run `pulumi ARGUMENTS` in the project's directory."""
        return self._run(["pulumi", *arguments], environment)

    def script(self, name: str, *arguments: str) -> Result:
        """Run `scripts/NAME ARGUMENTS` in the project's directory."""
        return self._run([f"scripts/{name}", *arguments], {})

    def _run(self, command: list[str], environment: dict[str, str]) -> Result:
        completed = subprocess.run(
            command,
            cwd=self.project,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return Result(completed.returncode, _COLOUR.sub("", completed.stdout))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `pulumi ARGUMENTS` and let it run."""
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self, *arguments: str) -> Result:
        """Run `pulumi up --yes`."""
        return self.run("up", "--yes", *arguments)

    def preview(self, *arguments: str) -> Result:
        """Run `pulumi preview`."""
        return self.run("preview", *arguments)

    def plan(self, *arguments: str) -> list[Step]:
        """Return the steps of a preview that change something; fail when the preview does."""
        result = self.run("preview", "--json", *arguments).ok()
        steps = json.loads(result.output[result.output.index("{") :])["steps"]
        found = []
        for step in steps:
            if step["op"] in ("same", "read", "refresh"):
                continue
            parts = step["urn"].split("::")
            found.append(Step(step["op"], parts[2].split("$")[-1], parts[3]))
        return found

    def output(self, name: str, *arguments: str) -> str:
        """Run `pulumi stack output NAME`."""
        return self.run("stack", "output", name, *arguments).ok().output.strip()

    def state(self) -> dict[str, Any]:
        """Return the stack's checkpoint as it is on disk."""
        [path] = (self.directory / "state").rglob(f"stacks/**/{self.name}.json")
        checkpoint: dict[str, Any] = json.loads(path.read_text())
        return checkpoint

    def keep_logs(self) -> None:
        """Let the CLI log every command from now on."""
        self.logs.unlink()
        self.logs.mkdir()

    def inject(self, *faults: dict[str, Any]) -> None:
        """Order failures from the small providers; see `plugins/faults.py`."""
        self.faults.write_text(json.dumps(list(faults)))

    def _environment(self) -> dict[str, str]:
        """Return an environment that the machine's own Pulumi or Google set-up does not reach."""
        home = self.logs.parents[1]
        self.logs.parent.mkdir(parents=True)
        self.logs.touch()  # not a directory, so the CLI keeps none
        return {
            "PATH": os.pathsep.join([str(self._path), str(self.binaries), "/usr/bin", "/bin"]),
            "HOME": str(home),
            "PULUMI_HOME": str(self.logs.parent),
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "GOGC": "off",  # programs of a second or two need not tidy up
            "GOMEMLIMIT": "1GiB",
            "PYTHONPATH": str(PLUGINS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GOOGLE_OAUTH_ACCESS_TOKEN": "none",
            "HTTPS_PROXY": self.google.address,  # refuses: nothing but the fakes is reached
            "NO_PROXY": f"127.0.0.1,localhost,{self.cluster.address.partition(':')[0]}",
            "SSL_CERT_FILE": str(self.cluster.authority),
            "KUBECONFIG": str(self.cluster.kubeconfig_path),
            "ENGINE_FAULTS": str(self.faults),
            "ENGINE_AWAIT": "none",
            "ENGINE_PYTHON": shlex.join(self.python),
            "ENGINE_IMAGES": str(self.directory / "images.jsonl"),
        }


def write_executables(directory: Path) -> None:
    """Write the executables that the engine and the kubeconfig look for on PATH."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, module in EXECUTABLES.items():
        _script(directory / name, f'exec $ENGINE_PYTHON "{PLUGINS / module}" "$@"')
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    _script(directory / "gke-gcloud-auth-plugin", f"echo '{json.dumps(credential)}'")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

"""Builds the tools of lint and the tests from pinned Go modules, once, into a cache.

A tool that is on PATH already is used as it is, unless only this version or this program will do.
`python build.py [GROUP | TOOL ...]` prints the directory that holds them. Groups are `engine`,
which is also what no argument means, `rehearsal`, `existing` and `lint`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
KUBERNETES = "v1.34.4"
PULUMI = "v3.256.0"


class MissingTool(RuntimeError):
    """A tool can neither be found nor built; the message says what to install."""


@dataclass(frozen=True)
class Tool:
    """A program and where it comes from.

    Attributes:
        module: directory beside this file with the go.mod that pins it.
        package: what to build, in that module's terms.
        variables: values that the linker sets.
        minutes: about how long the build takes on two cores.
        own: never taken from PATH: what has this name there is another program or version.
    """

    name: str
    module: str
    package: str
    minutes: float
    variables: tuple[str, ...] = ()
    own: bool = field(default=False, repr=False)

    @property
    def key(self) -> str:
        """Changes whenever another program would come out."""
        digest = hashlib.sha256(repr(self).encode())
        for path in sorted((HERE / self.module).iterdir()):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def _kubernetes(name: str, minutes: float, *, own: bool = False) -> Tool:
    version = "k8s.io/component-base/version"
    return Tool(
        name,
        "kubernetes",
        f"k8s.io/kubernetes/cmd/{name}",
        minutes,
        (f"{version}.gitVersion={KUBERNETES}", f"{version}.gitMajor=1", f"{version}.gitMinor=34"),
        own,
    )


TOOLS = (
    Tool(
        "pulumi",
        "pulumi",
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        3,
        (f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI}",),
    ),
    Tool("pulumi-resource-gcp", "google", ".", 3, own=True),
    _kubernetes("kube-apiserver", 3),
    _kubernetes("kube-controller-manager", 1),
)
"""Of the engine tests."""

NODE_TOOLS = (
    _kubernetes("kube-scheduler", 0.5, own=True),
    _kubernetes("kubelet", 2, own=True),
    _kubernetes("kube-proxy", 0.5, own=True),
    _kubernetes("kubectl", 0.5, own=True),
    Tool("coredns", "coredns", ".", 1, own=True),
    Tool("filestore-csi", "csi", ".", 0.2, own=True),
    Tool("pause", "pause", ".", 0.1, own=True),
)
"""What the rehearsal's node needs on top of the engine tests' API server."""

LINTERS = (Tool("actionlint", "actionlint", "github.com/rhysd/actionlint/cmd/actionlint", 0.5),)

KUBECTL = (_kubernetes("kubectl", 0.5),)
"""Of the rehearsal on a cluster that is there: any will do."""

GROUPS = {
    "engine": TOOLS,
    "rehearsal": TOOLS + NODE_TOOLS,
    "existing": (TOOLS[0], *KUBECTL),
    "lint": LINTERS,
}


def cache() -> Path:
    """Return where built tools are kept, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "batch-aiml" / "tools"


def ensure(tools: tuple[Tool, ...] = TOOLS) -> Path:
    """Make sure that every tool is there.

    Returns:
        A directory in which each is found under its name.

    Raises:
        MissingTool: one is neither on PATH nor to be built, or does not build.
    """
    together = hashlib.sha256("".join(tool.key for tool in tools).encode()).hexdigest()[:16]
    directory = cache() / f"bin-{together}"
    directory.mkdir(parents=True, exist_ok=True)
    for tool in tools:
        link = directory / tool.name
        found = _on_path(tool) or _built(tool)
        if link.is_symlink() and link.readlink() == found:
            continue
        temporary = directory / f".{tool.name}.{os.getpid()}"
        temporary.symlink_to(found)
        temporary.rename(link)
    return directory


def _on_path(tool: Tool) -> Path | None:
    if tool.own:
        return None
    found = shutil.which(tool.name)
    return Path(found) if found else None


def _built(tool: Tool) -> Path:
    target = cache() / tool.key / tool.name
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        raise MissingTool(
            f"{tool.name} is not on PATH and can't be built: install it, or Go 1.26 or newer "
            "(https://go.dev/dl), which builds it once"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():  # someone else has built it meanwhile
            return target
        started = time.monotonic()
        _say(f"building {tool.name} (once, about {tool.minutes:g} min on 2 cores) ...")
        flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in tool.variables)])
        partial = target.with_suffix(".partial")
        built = subprocess.run(
            [go, "build", "-trimpath", "-ldflags", flags, "-o", str(partial), tool.package],
            cwd=HERE / tool.module,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if built.returncode:
            raise MissingTool(f"{tool.name} does not build:\n{built.stdout[-3000:]}")
        partial.rename(target)
        _say(f"built {tool.name} in {time.monotonic() - started:.0f} s")
    return target


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _named(names: list[str]) -> tuple[Tool, ...]:
    known = {tool.name: (tool,) for group in GROUPS.values() for tool in group} | GROUPS
    for name in names:
        if name not in known:
            raise MissingTool(f"no tool or group {name!r}; there are {', '.join(sorted(known))}")
    return tuple(dict.fromkeys(tool for name in names for tool in known[name])) or TOOLS


def main(names: list[str]) -> int:
    """Build what is missing; print the directory of the tools."""
    try:
        directory = ensure(_named(names))
    except MissingTool as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

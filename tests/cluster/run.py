"""The rehearsal: a real Kubernetes node on this machine, which is left as it was found.

Usage: python tests/cluster/run.py [PYTEST ARGUMENT ...]

Checks what the machine needs, builds tools and images that are not in the cache yet, and runs the
tests in namespaces of their own: two parts side by side, each on a node of its own, unless tests
are chosen by file, or REHEARSAL_WRITE=1 asks for the measured times, or KEEP=1 for the cluster to
stay up after the tests until Ctrl-C.

CLUSTER=kubeconfig or CLUSTER=kind runs the tests of the stack `local` on a cluster that is there
already, as whoever you are. All that they make is removed again, after a Ctrl-C too. Variables:

  IMAGE                the workload's, by digest or a tag that the nodes have (kubeconfig; required)
  SHARE_STORAGE_CLASS  a class for ReadWriteMany volumes (kubeconfig; this or the next one)
  SHARE_HOST_PATH      an empty directory of the only node that belongs to user 10001
  REDIS_STORAGE_CLASS  of Redis's disk; the cluster's default class when unset
  REDIS_IMAGE          of Redis, by digest; the stack's own when unset
  KUBECONFIG           where the cluster is; as kubectl takes it
  KUBE_CONTEXT         its context there; the current one when unset
  KIND_CLUSTER         name of kind's cluster (kind)

With kind, the image is built and loaded and a directory is made on the node, and removed again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "stack"), str(ROOT)]

import existing  # noqa: E402 - the engine tests' directory had to be on the path
import pytest  # noqa: E402
from node import images, namespace, needs, store  # noqa: E402
from node.logs import LOGS, PART  # noqa: E402
from parts import PARTS  # noqa: E402
from toolchain.build import GROUPS, KUBECTL, MissingTool, ensure  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


def main(arguments: list[str]) -> int:
    """Run the tests; return pytest's exit code, 1 when they could not start."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)  # noqa: T201 - what was asked for
        return 0
    modules = (HERE, HERE.parent / "stack", HERE.parent / "stack/plugins", ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, modules))
    try:
        if kind := os.environ.get("CLUSTER"):
            return _on_existing(kind, arguments)
        return _on_own_node(arguments)
    except (needs.Unable, MissingTool, images.BuildError) as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1


def _on_own_node(arguments: list[str]) -> int:
    os.environ["PATH"] = needs.search_path()
    needs.check(namespace.SCRATCH)
    tools = ensure(GROUPS["rehearsal"])
    store.ensure(images.ensure(tools / "pause"))
    shutil.rmtree(LOGS, ignore_errors=True)
    if any(Path(a.split("::")[0]).exists() for a in arguments):
        return namespace.run(_pytest(*arguments))
    if any(os.environ.get(name) == "1" for name in ("KEEP", "REHEARSAL_WRITE")):
        return namespace.run(_pytest(*arguments, str(HERE)))
    return _in_parts(arguments)


def _in_parts(arguments: list[str]) -> int:
    """Run both parts at once: most of the time either of them waits for its node."""
    local, dev = [
        [
            *("env", f"{PART}={part}"),
            *_pytest(*arguments, *(str(HERE / file) for file in files)),
        ]
        for part, files in PARTS.items()
    ]
    with tempfile.TemporaryFile("w+") as output:
        codes = set(namespace.run_side_by_side(dev, local, output))
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout)
    none_chosen = {pytest.ExitCode.NO_TESTS_COLLECTED}
    return max(codes - none_chosen or none_chosen)


def _on_existing(kind: str, arguments: list[str]) -> int:
    os.environ["PATH"] += os.pathsep + str(ensure(KUBECTL))
    scratch = Path(tempfile.mkdtemp(prefix=namespace.PREFIX))
    try:
        with _asked_once() as asked, existing.prepared(kind, scratch):
            ensure(GROUPS["existing"])
            command = _pytest(*arguments, str(HERE / "journeys/test_local_stack.py"))
            with subprocess.Popen(command, start_new_session=True) as tests:
                asked.to = tests
                return tests.wait()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(scratch)


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-B", "-m", "pytest", "--numprocesses=0", *arguments]


class _Asked:
    """Passes what asks for an end on to the tests, and ends what comes before them."""

    def __init__(self) -> None:
        self.to: subprocess.Popen[bytes] | None = None
        self._before = False

    def pass_on(self, _number: int, _frame: FrameType | None) -> None:
        again, self._before = self._before, True
        if self.to is not None:
            self.to.send_signal(signal.SIGINT)
        elif not again:
            raise KeyboardInterrupt


@contextmanager
def _asked_once() -> Iterator[_Asked]:
    asked = _Asked()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, asked.pass_on) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

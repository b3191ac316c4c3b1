"""The rehearsal: a real Kubernetes node on this machine, which is left as it was found.

Usage: python tests/rehearsal/run.py [PYTEST ARGUMENT ...]

Checks what the machine needs, builds tools and images that are not in the cache yet, and runs the
tests in namespaces of their own. With KEEP=1 the cluster stays up after the tests until Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "engine"))

import images  # noqa: E402 - the engine tests' directory had to be on the path
import namespace  # noqa: E402
import needs  # noqa: E402
import store  # noqa: E402
from logs import LOGS  # noqa: E402
from toolchain.build import GROUPS, MissingTool, ensure  # noqa: E402


def main(arguments: list[str]) -> int:
    """Runs the tests; returns pytest's exit code, 1 when they could not start."""
    os.environ["PATH"] = needs.search_path()
    try:
        needs.check(namespace.SCRATCH)
        tools = ensure(GROUPS["rehearsal"])
        store.ensure(images.ensure(tools / "pause"))
    except (needs.Unable, MissingTool, images.BuildError) as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
    shutil.rmtree(LOGS, ignore_errors=True)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "engine"), str(ROOT)])
    tests = [] if any(Path(a.split("::")[0]).exists() for a in arguments) else [str(HERE)]
    return namespace.run(
        [sys.executable, "-B", "-m", "pytest", "--numprocesses=0", *arguments, *tests]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

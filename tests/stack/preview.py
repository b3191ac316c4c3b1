"""Previews a stack of this checkout without a cloud: the real engine against fakes of the rest.

usage: preview.py STACK
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from apiserver import ApiServerError, ControlPlane
from fakes.google_api.server import FakeGoogle
from stack_under_test import PROJECT, StackUnderTest
from toolchain.build import MissingTool, ensure


def main(name: str) -> int:
    """Print the plan of stack `name` with its price and policies; return the CLI's code."""
    try:
        binaries = ensure()
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            with (
                ControlPlane(binaries, directory / "control-plane") as cluster,
                FakeGoogle(directory / "google", cluster.address) as google,
            ):
                stack = StackUnderTest(directory / "stack", binaries, google, cluster, name)
                # An image that was only built on this machine has no digest to pin it by.
                policies = () if name == "local" else ("--policy-pack", "policy")
                result = stack.preview("--suppress-progress", *policies)
    except (MissingTool, ApiServerError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [line for line in result.output.splitlines() if "from $PATH at" not in line]
    sys.stdout.write("\n".join(lines) + "\n")
    if name != "local":
        sys.stdout.write(f"(planned for project {PROJECT}, with fakes of Google's API)\n")
    return result.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

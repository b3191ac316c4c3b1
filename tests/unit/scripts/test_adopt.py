"""A resource is adopted only by a name and a path that belong together."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "adopt.sh"
SHARE = "projects/my-project/locations/us-central1-b/instances/batch-aiml-filestore"


def _adopt(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script against a Pulumi that prints its arguments, one a line."""
    pulumi = directory / "pulumi"
    pulumi.write_text('#!/bin/sh\ncase $1 in stack) echo dev ;; *) printf "%s\\n" "$@" ;; esac\n')
    pulumi.chmod(0o755)
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env={"PATH": f"{directory}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_resource_goes_where_the_program_has_it(tmp_path: Path) -> None:
    adopted = _adopt(tmp_path, "share-filestore", SHARE)
    assert adopted.returncode == 0
    arguments = adopted.stdout.splitlines()
    assert arguments[0] == "import"
    assert "--protect=false" in arguments
    assert "gcp:filestore/instance:Instance" in arguments
    assert "parent=urn:pulumi:dev::batch-aiml::batch-aiml:index:Share::share" in arguments


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((), "a name and an ID are required"),
        (("redis-leader", SHARE), "redis-leader: must be share-filestore"),
        (("cluster-gke", SHARE), "must be the path of such a resource"),
        (("share-filestore", "batch-aiml-filestore"), "must be the path of such a resource"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], refusal: str
) -> None:
    refused = _adopt(tmp_path, *arguments)
    assert refused.returncode == 2
    assert refused.stdout == ""
    [line] = refused.stderr.splitlines()
    assert refusal in line

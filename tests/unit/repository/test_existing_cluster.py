"""A rehearsal on a cluster that is there: refused in one line, and nothing of it is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

ROOT = Path(__file__).parents[3]
RUN = ROOT / "tests/cluster/run.py"

KUBECTL = f"""#!{sys.executable} -IS
import json, sys
from pathlib import Path

here = Path(__file__).parent
words = [w for w in sys.argv[1:] if not w.startswith(("--kubeconfig", "--context", "--request"))]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
state = json.loads((here / "state.json").read_text())
if words[:2] == ["config", "view"]:
    print("current-context: there")
elif words[:2] == ["config", "current-context"]:
    print("there")
elif words[:3] == ["get", "--raw", "/version"] and not state["reachable"]:
    print("E1125 memcache.go: no\\nUnable to connect to the server: EOF", file=sys.stderr)
    sys.exit(1)
elif words[:2] == ["get", "persistentvolumes"]:
    names = [volume["metadata"]["name"] for volume in state["volumes"]]
    print("\\n".join(names) if "name" in words else json.dumps({{"items": state["volumes"]}}))
elif words[:2] == ["get", "pod"]:
    print(json.dumps(state["pod"]))
elif words[:2] == ["get", "events"]:
    print(json.dumps({{"items": []}}))
elif words[:1] == ["logs"]:
    print(state.get("log") or json.dumps(state["seen"]))
elif words[:1] == ["create"]:
    (here / "created").write_text(sys.stdin.read())
"""

EMPTY = {"names": [], "writable": True, "checkpoints": 0}


def pod(phase: str) -> dict[str, Any]:
    """Return the pod that looks at the share, as the API shows it."""
    return {"metadata": {"name": "look"}, "status": {"phase": phase}}


class Rehearse(Protocol):
    """Runs a rehearsal, told what the cluster's state is, with variables."""

    def __call__(
        self, state: dict[str, Any] | None = None, /, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def rehearse(tmp_path: Path) -> Rehearse:
    """Run a rehearsal whose kubectl is a stand-in, and whose tests are none."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)

    def run(
        state: dict[str, Any] | None = None, /, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        known = {"reachable": True, "volumes": [], "pod": pod("Succeeded"), "seen": EMPTY}
        (tmp_path / "state.json").write_text(json.dumps({**known, **(state or {})}))
        return subprocess.run(
            [sys.executable, "-B", RUN, "--collect-only", "-q"],
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "TMPDIR": str(tmp_path),
                "XDG_CACHE_HOME": str(tmp_path),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def assert_refused(done: subprocess.CompletedProcess[str], words: str, tmp_path: Path) -> None:
    assert done.returncode == 1
    assert words in done.stderr
    assert re.fullmatch(r"rehearsal: [^\n]+\n", done.stderr), done.stderr
    assert done.stdout == ""
    assert list(tmp_path.glob("batch-aiml-*")) == []


def calls(tmp_path: Path) -> list[list[str]]:
    path = tmp_path / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CLUSTER": "minikube"}, "CLUSTER=minikube: must be one of kubeconfig, kind, or unset"),
        ({"CLUSTER": "kubeconfig"}, "IMAGE is not set"),
        ({"CLUSTER": "kubeconfig", "IMAGE": "w@1"}, "set SHARE_STORAGE_CLASS to a class"),
        (
            {
                "CLUSTER": "kubeconfig",
                "IMAGE": "w@1",
                "SHARE_HOST_PATH": "/srv",
                "SHARE_STORAGE_CLASS": "nfs",
            },
            "set SHARE_STORAGE_CLASS to a class",
        ),
    ],
)
def test_what_is_missing_is_one_line_before_the_cluster_is_asked(
    rehearse: Rehearse, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    assert_refused(rehearse(**environment), words, tmp_path)
    assert calls(tmp_path) == []


ON_HOST = {"CLUSTER": "kubeconfig", "IMAGE": "w@1", "SHARE_HOST_PATH": "/srv/empty"}


def test_a_cluster_that_does_not_answer_is_one_line_and_nothing_is_made(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    done = rehearse({"reachable": False}, **ON_HOST)
    words = "the cluster of context there can't be reached: kubectl: Unable to connect"
    assert_refused(done, words, tmp_path)
    assert {call[0] for call in calls(tmp_path)} <= {"config", "get"}


def test_a_stack_that_is_there_is_not_touched(rehearse: Rehearse, tmp_path: Path) -> None:
    volume = {"metadata": {"name": "fileserver"}, "spec": {"claimRef": {"namespace": "mine"}}}
    assert_refused(rehearse({"volumes": [volume]}, **ON_HOST), "a stack of this kind", tmp_path)
    assert {call[0] for call in calls(tmp_path)} <= {"config", "get"}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({**EMPTY, "names": ["mine"]}, "SHARE_HOST_PATH=/srv/empty holds mine"),
        ({**EMPTY, "writable": False}, "SHARE_HOST_PATH=/srv/empty can't be written to"),
    ],
)
def test_a_directory_that_is_in_use_is_refused_and_not_emptied(
    rehearse: Rehearse, tmp_path: Path, seen: dict[str, Any], words: str
) -> None:
    assert_refused(rehearse({"seen": seen}, **ON_HOST), words, tmp_path)
    assert '"empty"' not in (tmp_path / "created").read_text()
    [namespace] = {call[2] for call in calls(tmp_path) if call[:2] == ["delete", "namespace"]}
    assert re.fullmatch("batch-aiml-rehearsal-[0-9a-f]{8}", namespace)


def test_a_directory_that_can_not_be_listed_is_one_line(rehearse: Rehearse, tmp_path: Path) -> None:
    done = rehearse({"pod": pod("Failed"), "log": "PermissionError: no"}, **ON_HOST)
    assert_refused(done, "/srv/empty can't be listed", tmp_path)


@pytest.mark.parametrize(
    "share", [{"SHARE_STORAGE_CLASS": "nfs"}, {"SHARE_HOST_PATH": "/srv/empty"}]
)
def test_only_the_runs_own_namespace_and_volumes_are_removed(
    rehearse: Rehearse, tmp_path: Path, share: dict[str, str]
) -> None:
    others = {"metadata": {"name": "theirs"}, "spec": {"claimRef": {"namespace": "mine"}}}
    free = {"metadata": {"name": "free"}, "spec": {}}
    # The Pulumi CLI is only looked for: nothing is run with it.
    (tmp_path / "pulumi").write_text("")
    (tmp_path / "pulumi").chmod(0o755)
    state = {"volumes": [others, free]}
    done = rehearse(state, CLUSTER="kubeconfig", IMAGE="w@1", **share)
    assert done.returncode == 0, done.stderr
    assert "test_local_stack.py" in done.stdout
    assert "test_dev_stack.py" not in done.stdout
    deleted = [call for call in calls(tmp_path) if call[0] == "delete"]
    assert {tuple(call[:2]) for call in deleted} == {("delete", "namespace")}
    [namespace] = {call[2] for call in deleted}
    assert re.fullmatch("batch-aiml-rehearsal-[0-9a-f]{8}", namespace)
    emptied = (tmp_path / "created").exists()
    assert emptied == ("SHARE_HOST_PATH" in share)
    if emptied:
        assert '"empty"' in (tmp_path / "created").read_text()


def test_help_names_every_variable() -> None:
    done = subprocess.run(
        [sys.executable, "-B", RUN, "--help"], capture_output=True, text=True, check=True
    )
    text = (ROOT / "tests/cluster/existing.py").read_text()
    for name in set(re.findall(r'"([A-Z]+_?[A-Z_]+)"', text)) - {"REHEARSAL_CLUSTER"}:
        assert name in done.stdout, name
    assert "CLUSTER=kubeconfig" in done.stdout

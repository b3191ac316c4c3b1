"""What scripts/bootstrap.sh does to a project, seen by a stand-in for gcloud."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "bootstrap.sh"
PROJECT = ("--project", "my-project")
EVERYTHING = (*PROJECT, "--repository", "my-org/batch-aiml", "--repository-id", "42")
ACCOUNT = "{}@my-project.iam.gserviceaccount.com"

GCLOUD = f"""#!{sys.executable} -IS
import json, sys
from pathlib import Path

here = Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
state = json.loads((here / "state.json").read_text())
words = [word for word in arguments if not word.startswith("--")]
verb = next(
    (word for word in words if word.split("-")[0] in
     ("create", "describe", "list", "add", "undelete", "update", "enable", "get")), "")
kind = " ".join(words[: words.index(verb)])
name = words[words.index(verb) + 1]

def finish(code, text=""):
    (here / "state.json").write_text(json.dumps(state))
    print(text, file=sys.stderr if code else sys.stdout)
    sys.exit(code)

for rule in state["failures"]:
    if rule["in"] in " ".join(arguments) and rule["times"]:
        rule["times"] -= 1
        finish(1, rule["says"])
if verb == "describe":
    known = "123456" if kind == "projects" else state["made"].get(f"{{kind}} {{name}}", "")
    finish(not known, known or "NOT_FOUND")
if verb == "list":
    bucket = arguments[arguments.index("--filter") + 1].removeprefix("name=")
    finish(0, state["made"].get(f"{{kind}} gs://{{bucket}}", ""))
if verb.startswith("create"):
    if kind == "iam service-accounts":
        name += "@my-project.iam.gserviceaccount.com"
    if f"{{kind}} {{name}}" in state["made"]:
        finish(1, "ALREADY_EXISTS")
    state["made"][f"{{kind}} {{name}}"] = "ACTIVE"
if verb == "undelete":
    state["made"][f"{{kind}} {{name}}"] = "ACTIVE"
if verb == "get-value":
    finish(0, "ann@example.com")
finish(0, "a long policy that nobody reads" if verb.startswith("add") else "")
"""
"""Remembers what was made, fails as it is told to, and writes down each call."""


@dataclass
class Project:
    """An empty project, and a directory with gcloud that the script finds first."""

    path: Path
    made: dict[str, str] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        _executable(self.path / "gcloud", GCLOUD)
        _executable(self.path / "sleep", '#!/bin/sh\necho "$1" >>"$(dirname "$0")/sleeps"\n')
        self.set_up()

    def set_up(self) -> None:
        """Tell gcloud what exists and what is to fail."""
        state = {"made": self.made, "failures": self.failures}
        (self.path / "state.json").write_text(json.dumps(state))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [SCRIPT, *arguments],
            env={"PATH": f"{self.path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """Return what gcloud was asked since the last look."""
        path = self.path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def changes(self) -> list[list[str]]:
        """Return the calls that change something, without gcloud's --quiet."""
        return [
            [word for word in call if word != "--quiet"]
            for call in self.calls()
            if not {"describe", "list", "get-value"} & set(call)
        ]


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@dataclass
class Run:
    """What a first run with a repository printed, and what it changed."""

    output: str
    changes: list[list[str]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    project = Project(tmp_path_factory.mktemp("first"))
    result = project.run(*EVERYTHING)
    assert result.returncode == 0, result.stderr
    return Run(result.stdout, project.changes())


def _made(calls: list[list[str]]) -> list[list[str]]:
    return [call for call in calls if any(re.fullmatch(r"create(-oidc)?", word) for word in call)]


def _value(call: list[str], option: str) -> str:
    return call[call.index(option) + 1]


def _roles(calls: list[list[str]], account: str) -> set[str]:
    member = f"serviceAccount:{ACCOUNT.format(account)}"
    return {_value(call, "--role") for call in calls if member in call}


def _commands(output: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in output.splitlines() if line.startswith("gcloud ")]


def test_a_second_run_makes_nothing_and_grants_the_same(project: Project) -> None:
    first = project.run(*EVERYTHING)
    assert first.returncode == 0, first.stderr
    before = project.changes()
    second = project.run(*EVERYTHING)
    assert second.returncode == 0, second.stderr
    after = project.changes()
    assert {tuple(call[:3]) for call in _made(before)} == {
        ("storage", "buckets", "create"),
        ("kms", "keyrings", "create"),
        ("kms", "keys", "create"),
        ("iam", "service-accounts", "create"),
        ("iam", "workload-identity-pools", "create"),
        ("iam", "workload-identity-pools", "providers"),
        ("iam", "roles", "create"),
    }
    assert _made(after) == []
    assert [call for call in after if "--role" in call] == [
        call for call in before if "--role" in call
    ]


def test_without_a_repository_nothing_is_opened_to_github(project: Project) -> None:
    assert project.run(*PROJECT).returncode == 0
    text = json.dumps(project.calls())
    assert "workload-identity" not in text
    assert "batch-aiml-deployer" in text
    assert "batch-aiml-preview" not in text


def test_state_is_versioned_and_not_public(first: Run) -> None:
    [settings] = [call for call in first.changes if call[:3] == ["storage", "buckets", "update"]]
    assert settings[4:] == [
        "--versioning",
        "--uniform-bucket-level-access",
        "--public-access-prevention",
    ]


@pytest.mark.parametrize(
    ("known", "verb"),
    [("", "create"), ("keys/state\t", "update"), ("keys/state", "update"), ("keys/state\t60s", "")],
)
def test_the_key_of_the_state_is_renewed_without_being_told(
    project: Project, known: str, verb: str
) -> None:
    project.made = {"kms keys state": known} if known else {}
    project.set_up()
    assert project.run(*PROJECT).returncode == 0
    calls = [call for call in project.changes() if call[:2] == ["kms", "keys"]]
    verbs = [call[2] for call in calls if "--rotation-period" in call]
    assert verbs == [verb] * bool(verb)
    assert all(_value(call, "--rotation-period") == "90d" for call in calls if call[2] in verbs)


def test_each_identity_has_exactly_its_roles(first: Run) -> None:
    calls = first.changes
    assert _roles(calls, "batch-aiml-preview") == {
        "roles/container.clusterViewer",
        "roles/storage.objectViewer",
        "roles/cloudkms.cryptoKeyDecrypter",
    }
    assert _roles(calls, "batch-aiml-drift") == {
        "roles/viewer",
        "projects/my-project/roles/batchAimlDrift",
        "roles/storage.objectViewer",
        "roles/cloudkms.cryptoKeyDecrypter",
    }
    assert _roles(calls, "batch-aiml-deployer") == {
        "roles/artifactregistry.admin",
        "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        "roles/compute.networkViewer",
        "roles/container.clusterAdmin",
        "roles/container.developer",
        "roles/file.editor",
        "roles/iam.serviceAccountUser",
        "roles/serviceusage.serviceUsageAdmin",
        "roles/storage.objectUser",
    }


def test_optional_parts_of_the_stack_add_their_roles_only(project: Project) -> None:
    project.run(*EVERYTHING, "--private-network", "--memorystore")
    calls = project.changes()
    deployer = _roles(calls, "batch-aiml-deployer")
    assert {"roles/compute.networkAdmin", "roles/redis.admin"} <= deployer
    [role] = [call for call in calls if call[:3] == ["iam", "roles", "create"]]
    assert _value(role, "--permissions") == "container.secrets.get,redis.instances.getAuthString"


def test_buckets_and_keys_are_opened_only_themselves(first: Run) -> None:
    for call in first.changes:
        role = _value(call, "--role") if "--role" in call else ""
        if role.startswith(("roles/storage.", "roles/cloudkms.")):
            assert call[:2] in (["storage", "buckets"], ["kms", "keys"]), call


def test_the_deployer_can_use_the_nodes_account_and_make_or_grant_nothing(first: Run) -> None:
    nodes = "batch-aiml-cluster-nodes"
    [use] = [call for call in first.changes if "roles/iam.serviceAccountUser" in call]
    assert use[:4] == ["iam", "service-accounts", "add-iam-policy-binding", ACCOUNT.format(nodes)]
    assert _roles(first.changes, nodes) == {"roles/container.defaultNodeServiceAccount"}
    granted = {
        role for role in _roles(first.changes, "batch-aiml-deployer") if "iam" in role.lower()
    }
    assert granted == {"roles/iam.serviceAccountUser"}
    assert f"pulumi config set node_service_account {ACCOUNT.format(nodes)}\n" in first.output


def test_only_this_repositorys_pull_requests_and_main_are_admitted(first: Run) -> None:
    calls = first.changes
    [provider] = [call for call in calls if "create-oidc" in call]
    assert _value(provider, "--attribute-condition") == (
        "assertion.repository == 'my-org/batch-aiml' && assertion.repository_id == '42' && "
        "(assertion.event_name == 'pull_request' || (assertion.ref == 'refs/heads/main' && "
        "assertion.event_name in ['schedule', 'workflow_dispatch']))"
    )
    pool = "projects/123456/locations/global/workloadIdentityPools/batch-aiml"
    attribute = f"principalSet://iam.googleapis.com/{pool}/attribute.event_name/"
    admitted = [
        (call[3].split("@")[0], _value(call, "--member").removeprefix(attribute))
        for call in calls
        if "roles/iam.workloadIdentityUser" in call
    ]
    assert admitted == [
        ("batch-aiml-preview", "pull_request"),
        ("batch-aiml-drift", "schedule"),
        ("batch-aiml-drift", "workflow_dispatch"),
    ]


def test_a_changed_repository_changes_who_is_admitted(project: Project) -> None:
    project.run(*EVERYTHING)
    project.calls()
    project.run(*PROJECT, "--repository", "other/name", "--repository-id", "43")
    [provider] = [call for call in project.changes() if "update-oidc" in call]
    assert "assertion.repository == 'other/name'" in _value(provider, "--attribute-condition")


def test_names_that_are_still_reserved_are_taken_back(project: Project) -> None:
    project.made = {
        "iam workload-identity-pools batch-aiml": "DELETED",
        "iam workload-identity-pools providers github": "DELETED",
        "iam roles batchAimlDrift": "projects/my-project/roles/batchAimlDrift\tTrue",
    }
    project.set_up()
    result = project.run(*EVERYTHING)
    assert result.returncode == 0, result.stderr
    calls = project.changes()
    undeleted = [call for call in calls if "undelete" in call]
    assert [call[: call.index("undelete")] for call in undeleted] == [
        ["iam", "workload-identity-pools"],
        ["iam", "workload-identity-pools", "providers"],
        ["iam", "roles"],
    ]
    assert not [call for call in _made(calls) if "batchAimlDrift" in call or "github" in call]


def test_the_operator_is_who_asks_or_who_is_named(project: Project) -> None:
    def operators() -> set[str]:
        return {
            _value(call, "--member")
            for call in project.changes()
            if "roles/iam.serviceAccountTokenCreator" in call
        }

    project.run(*PROJECT)
    assert operators() == {"user:ann@example.com"}
    project.run(*PROJECT, "--operator", "group:team@example.com")
    assert operators() == {"group:team@example.com"}


def test_dry_run_runs_nothing_and_prints_what_a_first_run_does(
    project: Project, first: Run
) -> None:
    dry = project.run(*EVERYTHING, "--dry-run")
    assert dry.returncode == 0
    assert project.calls() == []
    printed = dry.stdout.replace("PROJECT_NUMBER", "123456").replace("YOU", "ann@example.com")
    assert _commands(first.output) == _commands(printed)
    assert _commands(first.output)[: len(first.changes)] == first.changes


def test_dry_run_needs_no_gcloud(tmp_path: Path) -> None:
    for name in ("bash", "env", "dirname", "cat"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    result = subprocess.run(
        [SCRIPT, *EVERYTHING, "--dry-run"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    real = subprocess.run(
        [SCRIPT, *EVERYTHING],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (real.returncode, len(real.stderr.splitlines())) == (1, 1)
    assert "gcloud is not on PATH" in real.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--project is missing"),
        (("--project",), "--project: its value is missing"),
        (("--project", ""), "--project: its value is missing"),
        (("--project", "My_Project"), "--project My_Project: must be the ID"),
        ((*PROJECT, "--region", "us-central1-b"), "--region us-central1-b: must be a region"),
        ((*PROJECT, "--bucket", "gs://state"), "--bucket gs://state: must be 3 to 63"),
        ((*PROJECT, "--operator", "ann"), "--operator ann: must be user:"),
        ((*PROJECT, "--repository", "name"), "--repository name: must be OWNER/NAME"),
        ((*PROJECT, "--repository", "o/n' || true || '"), "must be OWNER/NAME"),
        ((*PROJECT, "--repository-id", "1"), "--repository-id needs --repository"),
        ((*PROJECT, "--repository", "o/n"), "--repository needs --repository-id"),
        ((*EVERYTHING, "--repository-id", "one"), "--repository-id one: must be a number"),
        ((*PROJECT, "--dryrun"), "--dryrun: no such option"),
        ((*PROJECT, "extra"), "extra: no such option"),
    ],
)
def test_wrong_arguments_are_one_line_and_change_nothing(
    project: Project, arguments: tuple[str, ...], says: str
) -> None:
    result = project.run(*arguments)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("bootstrap: ")
    assert says in line
    assert project.calls() == []


def test_help_names_every_option(project: Project) -> None:
    result = project.run("--help")
    assert result.returncode == 0
    parsing = SCRIPT.read_text().split("while [")[1].split("done")[0].replace("(try --help)", "")
    options = set(re.findall(r"--[a-z][a-z-]+", parsing))
    assert {"--project", "--dry-run", "--memorystore"} <= options
    for option in options:
        assert f"  {option} " in result.stdout, option


def test_a_project_that_is_not_there_is_one_line(project: Project) -> None:
    project.failures = [{"in": "projects describe", "times": 9, "says": "no\nsuch\nproject"}]
    project.set_up()
    result = project.run(*PROJECT)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "bootstrap: --project my-project: not found, or you may not see it (gcloud auth login)"
    ]
    assert project.changes() == []


def test_an_account_that_is_not_known_everywhere_yet_is_waited_for(project: Project) -> None:
    project.failures = [{"in": "roles/file.editor", "times": 2, "says": "does not exist"}]
    project.set_up()
    result = project.run(*PROJECT)
    assert (result.returncode, result.stderr) == (0, "")
    assert (project.path / "sleeps").read_text().split() == ["1", "2"]
    assert result.stdout.count("roles/file.editor") == 1


def test_a_grant_that_keeps_failing_says_why_and_stops(project: Project) -> None:
    project.failures = [{"in": "roles/file.editor", "times": 99, "says": "PERMISSION_DENIED: no"}]
    project.set_up()
    result = project.run(*PROJECT)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "PERMISSION_DENIED: no",
        "bootstrap: stopped: fix what gcloud reports, then run this again",
    ]
    assert not [call for call in project.calls() if "roles/iam.serviceAccountTokenCreator" in call]
    project.failures = []
    made = json.loads((project.path / "state.json").read_text())["made"]
    project.made = made
    project.set_up()
    assert project.run(*PROJECT).returncode == 0, "it goes on from there"


def test_the_documentation_names_every_role_that_is_granted(project: Project) -> None:
    project.run(*EVERYTHING, "--private-network", "--memorystore")
    documented = (ROOT / "docs" / "google-cloud.md").read_text()
    for call in project.changes():
        if "--role" in call:
            assert f"`{_value(call, '--role').removeprefix('projects/my-project/')}`" in documented


def test_the_workflows_read_the_variables_that_are_printed(first: Run) -> None:
    printed = set(re.findall(r"^gh variable set (\w+)", first.output, re.MULTILINE))
    workflows = (ROOT / ".github" / "workflows").glob("*.yaml")
    read = {name for path in workflows for name in re.findall(r"vars\.(\w+)", path.read_text())}
    assert printed == read

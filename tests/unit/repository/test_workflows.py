"""What the workflows may do, and for whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
FILES = [*WORKFLOWS, *(ROOT / ".github" / "actions").glob("*/action.yaml")]
ON = True
"""What YAML 1.1 makes of the key `on`."""

CONFIGURED = "vars.GCP_WORKLOAD_IDENTITY_PROVIDER != ''"
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def _load(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text())
    return loaded


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = _load(path)["jobs"]
    return jobs


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_which_release_it_is(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses or "uses" not in path.read_text()
    for action in uses:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_runs_foreign_code_with_the_repositorys_rights(path: Path) -> None:
    assert set(_load(path)[ON]) <= {"pull_request", "push", "schedule", "workflow_dispatch"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_is_bounded_and_says_what_it_may_do(path: Path) -> None:
    assert _load(path)["permissions"] == {}
    for name, job in _jobs(path).items():
        assert job["timeout-minutes"] <= 60, name
        assert "permissions" in job, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    for job in _jobs(path).values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_forks_get_no_identity() -> None:
    identified = [
        (path.name, name, " ".join(job["if"].split()))
        for path in WORKFLOWS
        if "pull_request" in _load(path)[ON]
        for name, job in _jobs(path).items()
        if "id-token" in job["permissions"]
    ]
    assert identified == [("preview.yaml", "preview", f"{CONFIGURED} && {SAME_REPOSITORY}")]


def test_checks_need_neither_secrets_nor_variables() -> None:
    checks = ROOT / ".github" / "workflows" / "checks.yaml"
    assert not re.search(r"\b(secrets|vars)\.", checks.read_text())
    for job in _jobs(checks).values():
        assert job["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["preview.yaml", "drift.yaml"])
def test_what_is_not_configured_is_said_and_not_passed_in_silence(name: str) -> None:
    jobs = _jobs(ROOT / ".github" / "workflows" / name)
    skipped = jobs.pop("skipped")
    work = next(iter(jobs.values()))
    assert "::notice" in skipped["steps"][0]["run"]
    opposite = " ".join(skipped["if"].split()).replace("==", "≠").replace("!=", "==")
    opposite = opposite.replace("≠", "!=").replace("||", "&&")
    assert opposite == " ".join(work["if"].split())

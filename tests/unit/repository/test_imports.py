"""What a room of the workload may not import can't be written there, in a new module either."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKLOAD = ROOT / "workload"
LINTER = Path(sys.executable).with_name("lint-imports")

UPWARDS = "each room of the workload stands on the rooms below it"
FRAUDS = "what queues, works, runs and reports knows nothing of frauds"
PLANTED = (
    ("cli", "import pulumi", "the workload knows nothing of the infrastructure it runs on"),
    ("local", "from workload.fraud import simulator", FRAUDS),
    ("local", "from workload.cli import main", UPWARDS),
    ("engine", "from workload.fraud.metrics import evaluate", FRAUDS),
    ("engine", "from workload.local import supervisor", UPWARDS),
    ("report", "from workload.fraud.report import drift", FRAUDS),
    ("report", "from workload.engine import ledger", UPWARDS),
    ("fraud", "from workload.engine import chain", UPWARDS),
    ("fraud/model", "from workload.cli import main", UPWARDS),
    ("fraud/evaluation", "from workload.local import run", UPWARDS),
    ("fraud/report", "from workload import queue", "the fraud trainer knows nothing of the queue"),
    ("trainers", "from workload.fraud import trainer", UPWARDS),
    ("trainers", "from workload.engine import chain", UPWARDS),
    ("queue", "from workload.share import store", UPWARDS),
    ("queue", "import numpy", "the queue knows nothing of what is queued"),
    ("share", "from workload.queue import client", UPWARDS),
    ("share", "import numpy", "the share needs nothing but the standard library"),
    ("readers", "from workload.share import store", UPWARDS),
    ("readers", "from workload.fraud import transactions", UPWARDS),
    (".", "", UPWARDS),
)
"""Room, what a new module there imports, and the contract that it breaks; a new module beside the
rooms breaks one by being there."""


def _lint(root: Path) -> str:
    done = subprocess.run(
        [LINTER, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    return " ".join(done.stdout.split()) if done.returncode else ""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for package in ("workload", "infra", "policy"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_rooms_as_they_are_keep_every_contract(checkout: Path) -> None:
    assert _lint(checkout) == ""


@pytest.mark.parametrize(("room", "planted", "contract"), PLANTED)
def test_a_forbidden_import_in_a_new_module_breaks_the_contract(
    checkout: Path, room: str, planted: str, contract: str
) -> None:
    module = checkout / "workload" / room / "planted.py"
    module.write_text(f"{planted}\n")
    try:
        assert re.search(rf"{re.escape(contract)}.{{0,60}}BROKEN", _lint(checkout))
    finally:
        module.unlink()


def test_every_room_has_an_import_planted() -> None:
    rooms = {path.parent for path in WORKLOAD.rglob("__init__.py")} - {WORKLOAD}
    planted = {WORKLOAD / room for room, _, _ in PLANTED}
    assert rooms <= planted


def test_the_workload_itself_holds_at_most_five_modules() -> None:
    modules = {path.name for path in WORKLOAD.glob("*.py")} - {"__init__.py"}
    assert len(modules) <= 5, modules

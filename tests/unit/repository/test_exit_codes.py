"""One table of exit codes: Python, the stack, the scripts and the README have no other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from workload.errors import ExitCode

ROOT = Path(__file__).parents[3]
TABLE = json.loads((ROOT / "workload/exit_codes.json").read_text())
CODES = {row["name"]: row["code"] for row in TABLE}
SCRIPTS = [
    path
    for path in sorted((ROOT / "scripts").glob("*.*sh"))
    if not path.read_text().startswith("#!/bin/sh")  # a tool of the checkout
]


def test_every_row_of_the_table_is_a_member_with_its_code_and_meaning() -> None:
    assert {code.name: code.value for code in ExitCode} == CODES
    assert [code.meaning for code in ExitCode] == [row["meaning"] for row in TABLE]
    assert {row["job"] for row in TABLE} == {"Complete", "Count", "FailJob", "Ignore"}
    assert [code for code in ExitCode if code.final] == [ExitCode.USAGE, ExitCode.INCOMPLETE]


def test_the_scripts_have_the_codes_of_the_table() -> None:
    names = " ".join(f"{name}=$EXIT_{name}" for name in CODES)
    done = subprocess.run(
        ["bash", "-euc", f"source {ROOT}/scripts/fail.bash; echo {names}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [f"{name}={code}" for name, code in CODES.items()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_of_an_operator_writes_a_code_as_a_number(script: Path) -> None:
    number = r'(?m)^.*(?:\bexit |\bcode=|\bcode"? !?= |\bfail .*" )[0-9]+\b.*$'
    found = re.findall(number, script.read_text())
    assert found == []


def test_the_readme_lists_every_code() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    [listed] = re.findall(r"Exit codes: ([^.]+)\.", text)
    assert [int(code) for code in re.findall(r"(?:^|; )(\d+) ", listed)] == list(CODES.values())

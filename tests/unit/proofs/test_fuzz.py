"""A short fuzz, as part of every test run; `make fuzz` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proofs.fuzz import TARGETS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("target", TARGETS)
def test_what_comes_from_outside_is_read_or_refused_in_one_line(target: str) -> None:
    words = ["--target", target, "--seed", "1", "--examples", "150", "--seconds", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "proofs.fuzz", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize(
    "deed",
    [
        "import this",
        "eval('1')",
        "open({path!r}, 'w')",
        "__import__('os').system('true')",
        "__import__('subprocess').Popen(['true'])",
        "__import__('pickle').loads(b'cos\\nsystem\\n.')",
        "bytearray(1 << 34)",
    ],
)
def test_the_watch_sees_what_must_not_happen(tmp_path: Path, deed: str) -> None:
    """In a process of its own: an audit hook stays for ever."""
    code = (
        "import resource, os, subprocess, pickle, sys; from proofs import fuzz\n"
        f"def deed():\n    {deed.format(path=str(tmp_path / 'x'))}\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))\n"
        "sys.addaudithook(fuzz._audit)\n"
        "try:\n"
        "    with fuzz.watched(): deed()\n"
        "except fuzz.Wrong: sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 7
    assert not (tmp_path / "x").exists()

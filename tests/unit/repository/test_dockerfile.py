"""The image's recipe, against the settings elsewhere that it has to agree with."""

from __future__ import annotations

import fnmatch
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from workload.engine import numeric
from workload.errors import ExitCode

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[3]
CONTEXT = ROOT / "workload"


def _instructions() -> list[tuple[str, str]]:
    """Return instruction and argument of each line, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (CONTEXT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line]


def _final(instruction: str) -> list[str]:
    """Return the arguments of an instruction in the last stage."""
    instructions = _instructions()
    start = max(number for number, (name, _) in enumerate(instructions) if name == "FROM")
    return [argument for name, argument in instructions[start:] if name == instruction]


def _environment() -> dict[str, str]:
    pairs = [pair for argument in _final("ENV") for pair in shlex.split(argument)]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def test_image_pins_the_arithmetic_as_a_worker_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    pins = numeric.pinned_environment()
    prefixes = ("NPY_", "OPENBLAS_", "OMP_", "GLIBC_")
    environment = _environment()
    assert {k: v for k, v in environment.items() if k.startswith(prefixes)} == pins


def test_base_image_is_pinned_by_digest() -> None:
    bases = [argument for name, argument in _instructions() if name == "ARG"]
    assert len(bases) == 1
    assert re.fullmatch(r"BASE=docker\.io/\S+:\S+@sha256:[0-9a-f]{64}", bases[0])
    stages = [argument.split() for name, argument in _instructions() if name == "FROM"]
    assert [stage[0] for stage in stages] == ["${BASE}", "base", "base", "base"]


def test_python_of_the_image_is_that_of_the_tests() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["python_version"]
    [base] = [argument for name, argument in _instructions() if name == "ARG"]
    assert f"/python:{version}." in base


def test_only_packages_with_known_hashes_are_installed() -> None:
    [install] = [argument for name, argument in _instructions() if "pip" in argument]
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:"):
        assert flag in install


def test_image_runs_as_the_user_of_the_job() -> None:
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    uid = settings["worker_uid"]["default"]
    assert uid > 0
    assert _final("USER") == [f"{uid}:{uid}"]


def test_signals_reach_the_worker_itself() -> None:
    [entry] = _final("ENTRYPOINT")
    assert json.loads(entry) == ["env", "--block-signal=TERM", "python", "-m", "workload"]
    assert _final("CMD") == ['["work"]']


def test_signal_before_the_first_line_of_the_program_ends_it_as_a_hand_back(
    tmp_path: Path,
) -> None:
    """The image's entry, with a signal that is there before it starts."""
    [entry] = _final("ENTRYPOINT")
    command = [*json.loads(entry), "work"]
    command[command.index("python")] = sys.executable
    started = subprocess.run(
        ["sh", "-c", 'kill -TERM $$ && exec "$@"', "sh", *command],
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
        cwd=ROOT,
        env={**os.environ, "WORKLOAD_SHARE": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == ExitCode.HANDED_BACK


def test_every_file_of_the_package_is_in_the_context() -> None:
    patterns = (CONTEXT / ".dockerignore").read_text().split()
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    wanted = ["requirements.txt", *packaged["package-data"]["workload"], "**/*.py"]
    files = [path for pattern in wanted for path in CONTEXT.glob(pattern)]
    assert len(files) > 40
    for path in files:
        name = str(path.relative_to(CONTEXT))
        for pattern in patterns:
            assert not fnmatch.fnmatch(name, pattern.replace("**/", "")), (name, pattern)

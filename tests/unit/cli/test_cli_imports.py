"""The command line starts fast: its modules load nothing that only some commands need."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from workload import cli

ROOT = Path(__file__).parents[3]
MODULES = [f"workload.cli.{module.name}" for module in pkgutil.iter_modules(cli.__path__)]
LIGHT = {"workload", "workload.cli", *MODULES, "workload.errors", "workload.text"}
LIGHT |= {"workload.trainers", "workload.trainers.loading"}

LOADED = """
import importlib, json, sys
import typer
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("module", MODULES)
def test_module_of_the_command_line_loads_only_the_standard_library_and_light_modules(
    module: str,
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", LOADED, module], cwd=ROOT, capture_output=True, check=True
    )
    loaded = set(json.loads(process.stdout))
    assert module in loaded
    foreign = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign <= LIGHT

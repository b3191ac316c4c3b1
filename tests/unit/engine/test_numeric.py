"""Arithmetic that is the same on every x86-64 machine: the pin, and what needs no pin."""

from __future__ import annotations

import datetime as dt
import os
import platform
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.fleet import write_day
from workload.engine import numeric

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
PINS = (
    "GLIBC_TUNABLES",
    "NPY_ENABLE_CPU_FEATURES",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
)
X86 = platform.machine().lower() in {"x86_64", "amd64"}

only_x86 = pytest.mark.skipif(not X86, reason="only x86-64 has levels to pin")
STATES = """
import hashlib, math, sys
from pathlib import Path
import numpy as np
from numpy._core._multiarray_umath import __cpu_features__ as cpu
from workload.engine import canonical
from workload.fraud.transactions import read_day
from workload.fraud.model import features
from workload.fraud.model.state import State

state, seen = State.empty(), hashlib.sha256()
for path in sorted(Path(sys.argv[1]).iterdir()):
    day = read_day(path)
    state = state.advance(day.date)
    seen.update(features.columns(state, day).tobytes())
    state = state.absorb(day)
    seen.update(canonical.encode(state.to_arrays()))
powers = b"".join(math.exp(-step / 997).hex().encode() for step in range(20_000))
print(seen.hexdigest(), hashlib.sha256(powers).hexdigest(), cpu["X86_V3"])
"""
"""Prints hashes of all columns and states of some days, and of what libm's exp gives."""


@cache
def _unpinned() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in PINS}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the process's own environment, without pins."""
    for name in PINS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def _computed(days: Path, environment: Mapping[str, str]) -> list[str]:
    """Run `STATES` in a process of its own; warnings are errors there, too."""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", STATES, str(days)],
        env={**_unpinned(), **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


@only_x86
def test_states_and_columns_are_equal_at_every_level_while_libm_is_not(tmp_path: Path) -> None:
    for number in range(10):  # more than the label lag
        date = dt.date(2018, 4, 1) + dt.timedelta(number)
        write_day(tmp_path / f"{date}.pkl", number, dt.date(2018, 4, 1))
    pinned = _computed(tmp_path, numeric.pinned_environment())
    native = _computed(tmp_path, {})
    assert native[0] == pinned[0]
    assert pinned[2] == "False", "NumPy's kernels above the baseline are off"
    if "fma" not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip("this processor has no fused multiply-add: nothing to tell apart")
    assert native[1] != pinned[1], "exp no longer depends on the processor: is the pin needed?"


def test_process_is_pinned_only_when_every_variable_is(environment: pytest.MonkeyPatch) -> None:
    native = f"native-{platform.machine().lower()}"
    assert numeric.dispatch() == native
    pins = numeric.pinned_environment()
    for name, value in pins.items():
        environment.setenv(name, value)
    assert numeric.dispatch() == (numeric.BASELINE if X86 else native)
    for name, value in pins.items():
        environment.setenv(name, "other")
        assert numeric.dispatch() == native
        environment.setenv(name, value)


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
def test_other_machines_are_native_with_one_thread(
    machine: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(platform, "machine", lambda: machine)
    pins = numeric.pinned_environment()
    assert pins == {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name, value in pins.items():
        environment.setenv(name, value)
    assert numeric.dispatch() == f"native-{machine}"


def test_pin_starts_the_same_command_over_with_the_pins_above_what_was_asked(
    environment: pytest.MonkeyPatch,
) -> None:
    class Replaced(Exception):
        pass

    started: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(path: str, arguments: list[str], variables: dict[str, str]) -> None:
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []), "or it may be lost"
        started.append((path, arguments, variables))
        raise Replaced

    environment.setattr(os, "execve", execve)
    environment.setenv("OPENBLAS_NUM_THREADS", "8")
    environment.setenv("NPY_DISABLE_CPU_FEATURES", "X86_V3")
    environment.setenv("KEPT", "value")
    with pytest.raises(Replaced):
        numeric.pin(["run", "--share", "a b"])
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    ((path, arguments, variables),) = started
    assert path == sys.executable
    assert arguments == [sys.executable, "-P", "-m", "workload", "run", "--share", "a b"]
    assert variables.items() >= numeric.pinned_environment().items()
    assert variables["NPY_DISABLE_CPU_FEATURES"] == "", "NumPy refuses both lists at once"
    assert variables["KEPT"] == "value"


def test_pinned_process_goes_on(environment: pytest.MonkeyPatch) -> None:
    def execve(*_: object) -> None:
        raise AssertionError("started over for ever")

    environment.setattr(os, "execve", execve)
    for name, value in numeric.pinned_environment().items():
        environment.setenv(name, value)
    numeric.pin(["run"])

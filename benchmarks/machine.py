"""The machine and the versions the figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from workload.engine.numeric import dispatch
from workload.local.redis_server import find_redis_server

_NUMBERS = {"family": "cpu family", "model": "model"}
"""What of /proc/cpuinfo tells generations of a processor apart."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on; all as text."""

    date: str
    processor: str
    cores: str
    memory: str
    kernel: str
    arithmetic: str
    versions: str
    bytecode: str
    load_at_start: str


def describe() -> Machine:
    """Return this machine, now."""
    packages = ("numpy", "pandas", "pyarrow", "scikit-learn", "redis", "hiredis")
    versions = [f"Python {platform.python_version()}", _server()]
    versions += [f"{package} {version(package)}" for package in packages]
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(),
        cores=str(os.cpu_count()),
        memory=f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        kernel=f"{platform.system()} {platform.release()}",
        arithmetic=dispatch(),
        versions=", ".join(versions),
        bytecode=_bytecode(),
        load_at_start=" ".join(f"{load:.2f}" for load in os.getloadavg()),
    )


def _bytecode() -> str:
    """Say whether packages are compiled at each start: it makes start-up several times longer."""
    specifications = [find_spec(name) for name in ("numpy", "pandas", "scipy", "sklearn")]
    if all(each and each.cached and Path(each.cached).exists() for each in specifications):
        return "compiled"
    return "compiled at each start" if sys.dont_write_bytecode else "compiled at the first start"


def _processor() -> str:
    """Return the name, on Linux with family and model: clouds give many processors one name."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text("utf-8").splitlines() if listing.exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in said:
        return platform.processor() or platform.machine()
    numbers = [f"{key} {said[name]}" for key, name in _NUMBERS.items() if name in said]
    return " ".join([said["model name"], *numbers])


def _server() -> str:
    """Return a name such as `Redis 7.0.15`."""
    words = subprocess.run(
        [find_redis_server(), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    return f"{words[0]} {words[2].removeprefix('v=')}"

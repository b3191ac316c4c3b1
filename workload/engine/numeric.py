"""Pins floating-point arithmetic to one level on every x86-64 machine.

Spot nodes mix processors, and NumPy, the BLAS and the C library each choose their kernels by the
processor at hand; their exp, log, pow and dot products then differ in the last bit. A model that
must be bit-identical wherever a worker happens to run needs all three pinned:

- NumPy: only the baseline kernels (`NPY_ENABLE_CPU_FEATURES`);
- OpenBLAS: one kernel set, one thread (`OPENBLAS_CORETYPE`, `OPENBLAS_NUM_THREADS`);
- glibc: no fused multiply-add in libm (`GLIBC_TUNABLES`), which scikit-learn's compiled loss
  functions use.

All of them are read when the process starts, so `pin` starts the process over.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from functools import cache
from importlib.metadata import version

from workload.engine.processes import module_environment, python

BASELINE = "x86-64-v2"

_GLIBC = (2, 33)
"""First glibc that knows the tunables by these names."""

_PINS = {
    "NPY_ENABLE_CPU_FEATURES": "X86_V2",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2",
}


def pinned_environment() -> dict[str, str]:
    """Return the variables that pin this machine's arithmetic; none but threads off x86-64."""
    if platform.machine().lower() in {"x86_64", "amd64"}:
        return dict(_PINS)
    return {name: value for name, value in _PINS.items() if name.endswith("_NUM_THREADS")}


def dispatch() -> str:
    """Return what a checkpoint records: the pinned level, or `native` and the machine."""
    pins = pinned_environment()
    pinned = all(os.environ.get(name) == value for name, value in pins.items())
    library, release = platform.libc_ver()
    tunable = library == "glibc" and tuple(map(int, release.split(".")[:2])) >= _GLIBC
    if pinned and tunable and len(pins) == len(_PINS):
        return BASELINE
    return f"native-{platform.machine().lower()}"


def described() -> dict[str, str]:
    """Return what a checkpoint records of the arithmetic: dispatch and library versions."""
    return {
        "dispatch": dispatch(),
        "numpy": _version("numpy"),
        "scikit_learn": _version("scikit-learn"),
    }


@cache
def _version(library: str) -> str:
    """Return a package's version without an import, which takes a second."""
    return version(library)


def pin(arguments: list[str]) -> None:
    """Start `python -m workload` with `arguments` over, unless the process is pinned.

    The process keeps its number, so whoever watches it sees no difference. A SIGTERM that comes
    meanwhile stays blocked until the new program has a handler. Call it before NumPy is imported.
    """
    pins = pinned_environment()
    if all(os.environ.get(name) == value for name, value in pins.items()):
        return
    environment = {**module_environment(), **pins, "NPY_DISABLE_CPU_FEATURES": ""}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        os.execve(  # noqa: S606 - the same interpreter and program
            sys.executable, python("workload", *arguments), environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

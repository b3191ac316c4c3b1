"""`python -m benchmarks`: measures, prints tables, and with `--write` keeps them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.results import REHEARSED, SECTIONS, store
from workload.engine.numeric import pinned_environment
from workload.errors import DatasetRefused, UsageError

HERE = Path(__file__).parent
MEASURED = tuple(name for name in SECTIONS if name != REHEARSED)


def main() -> int:
    """Return the exit code: 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures, in less time")
    parser.add_argument("--only", choices=MEASURED, help="measure one section")
    parser.add_argument(
        "--write", action="store_true", help="store results.json and results.md beside the code"
    )
    parser.add_argument(
        "--ceiling",
        type=Path,
        metavar="DIR",
        help="only show the learner beside the ceiling, on the handbook's own days in DIR",
    )
    options = parser.parse_args()
    _pin()

    from benchmarks import (  # noqa: PLC0415 - NumPy must be pinned
        learner,
        long_run,
        memory,
        pipeline,
        queue,
        recovery,
        scaling,
        workers,
    )
    from benchmarks.machine import describe  # noqa: PLC0415
    from benchmarks.peers import measure as peers  # noqa: PLC0415

    if options.ceiling:
        try:
            print(learner.beside_the_ceiling(options.ceiling).text())
        except (UsageError, DatasetRefused) as error:
            parser.error(str(error))
        return 0
    measure = {
        "queue": queue.measure,
        "peers": peers.measure,
        "recovery": recovery.measure,
        "long_run": long_run.measure,
        "pipeline": pipeline.measure,
        "workers": workers.measure,
        "scaling": scaling.measure,
        "memory": memory.measure,
        "learner": learner.measure,
    }
    for name in (options.only,) if options.only else MEASURED:
        machine = describe()
        section = measure[name](quick=options.quick)
        print(section.text(), end="\n\n", flush=True)
        if options.write:
            store(HERE, name, section, machine, quick=options.quick)
    return 0


def _pin() -> None:
    """Start over with the arithmetic pinned as in a worker, unless it is already."""
    pins = pinned_environment()
    if any(os.environ.get(name) != value for name, value in pins.items()):
        environment = {**os.environ, **pins, "NPY_DISABLE_CPU_FEATURES": ""}
        arguments = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
        os.execve(sys.executable, arguments, environment)  # noqa: S606 - the same program


if __name__ == "__main__":
    sys.exit(main())

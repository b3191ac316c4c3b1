"""`python -m proofs.mutate`: takes every guard out of the queue's scripts, one at a time.

Each mutant runs the tests of the scripts until one fails. A mutant that passes all of them is a
guard nobody watches: the run fails. Mutants that behave exactly like the original are listed in
`EQUIVALENT` with the reason, and must keep passing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import psutil

from proofs.mutants import Mutant, mutants

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

TESTS = "tests/unit/queue/test_queue.py"
LIMIT_SECONDS = 60.0
"""A script that never ends is a failure too."""

EQUIVALENT = {
    "claim.lua: `if repeated` is true": "a request that is new has no claim yet to be found",
    "complete.lua: `if attempts + crashes > 0` is true": "there is nothing to forget",
}
"""Mutants no test can tell from the original, by name, each with the reason."""


def main() -> int:
    """Return the exit code: 0 when some test fails for each mutant."""
    parser = argparse.ArgumentParser(prog="python -m proofs.mutate", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose name holds TEXT")
    options = parser.parse_args()
    chosen = [mutant for mutant in mutants() if options.only in mutant.name]
    if not chosen:
        parser.error(f"no mutant's name holds {options.only!r}")
    begin, context = time.monotonic(), multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "workload.queue", "workload.local.redis_server"])
    wrong = []
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=_memory()) as folder:
        test = partial(_test, context, Path(folder))
        intact = test(None)
        if intact:
            print(f"{TESTS} fails without a mutant: {intact}", file=sys.stderr)
            return 1
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for mutant, failed in zip(chosen, pool.map(test, chosen), strict=True):
                reason = EQUIVALENT.get(mutant.name)
                if bool(failed) == bool(reason):
                    wrong.append(mutant)
                verdict = failed or (f"equivalent: {reason}" if reason else "SURVIVED")
                print(f"{mutant.script}:{mutant.line}: {mutant.change}\n    {verdict}", flush=True)
    seconds = time.monotonic() - begin
    unknown = EQUIVALENT.keys() - {mutant.name for mutant in mutants()}
    equivalent = sum(mutant.name in EQUIVALENT for mutant in chosen)
    print(
        f"\n{len(chosen)} mutants: {len(chosen) - equivalent - len(wrong)} noticed, "
        f"{equivalent} equivalent, {len(wrong)} wrong; {seconds:.0f} s"
    )
    for mutant in wrong:
        print(f"WRONG {mutant.name}")
    for name in sorted(unknown):
        print(f"WRONG no such mutant any more: {name}")
    return 1 if wrong or unknown else 0


def _memory() -> str | None:
    """Return a directory in memory if there is one: the servers write and fsync a lot."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _test(context: ForkServerContext, folder: Path, mutant: Mutant | None) -> str:
    """Run the tests; return the first that failed, or ''."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name)
        with as_file(files("workload.queue") / "scripts") as original:
            copytree(original, home / "scripts")
        if mutant:
            (home / "scripts" / mutant.script).write_text(mutant.text, "utf-8")
        process = context.Process(target=_child, args=(home,))
        process.start()
        process.join(LIMIT_SECONDS)
        if process.exitcode is None:
            _kill(process.pid or 0)
            process.join()
            return f"not done after {LIMIT_SECONDS:.0f} s"
        report = (home / "failed").read_text("utf-8") if (home / "failed").exists() else ""
        if process.exitcode and not report:
            return (home / "output").read_text("utf-8").strip().splitlines()[-1]
        return report


def _kill(pid: int) -> None:
    family = psutil.Process(pid)
    for process in [*family.children(recursive=True), family]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


class _Reporter:
    """Takes each test once, on the first server at hand, and notes which one failed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_collection_modifyitems(self, items: list) -> None:  # type: ignore[type-arg]
        seen: set[str] = set()
        kept = []
        for item in items:
            server = item.callspec.params.get("any_server") if hasattr(item, "callspec") else None
            name = item.nodeid.replace(str(server), "") if server else item.nodeid
            if name not in seen:
                seen.add(name)
                kept.append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        if report.failed and not self._path.exists():
            self._path.write_text(report.nodeid.rpartition("::")[2], "utf-8")


def _child(home: Path) -> None:
    """Run the tests in a process of its own."""
    output = os.open(home / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    import pytest  # noqa: PLC0415

    from workload.queue import connection  # noqa: PLC0415

    connection.files = lambda _package: home  # type: ignore[assignment,attr-defined]
    words = [
        "-n0",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--assert=plain",
        "--basetemp",
        str(home / "tmp"),
        TESTS,
    ]
    os._exit(pytest.main(words, plugins=[_Reporter(home / "failed")]))


if __name__ == "__main__":
    sys.exit(main())

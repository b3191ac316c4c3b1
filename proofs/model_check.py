"""`python -m proofs.model_check`: checks `Queue.tla` with TLC, and that each guard is needed.

First the queue as it is, in several small worlds in which different things go wrong; then the queue
without one of its guards, in the smallest world that shows why the guard is there: that check must
find the violation named here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE = Path(__file__).parent
JAVA = 17

GUARDS: Final = {
    "reap": "claim.lua: expired leases come back",
    "copies": "claim.lua: second copies are dropped",
    "place": "claim.lua: a dataset claimed again keeps its place (NX)",
    "unique": "claim.lua: a token names the session and the number of its request",
    "complete": "complete.lua: only the holder commits",
    "order": "complete.lua: only the first unfinished dataset is committed",
    "head": "complete.lua: only on the current head",
    "renew": "renew.lua: only the holder renews",
    "release": "hand_back.lua: only the holder hands back",
    "extend": "restore.lua: commits are restored only to the head they continue",
    "whole": "restore.lua: commits are restored only to a queue whose keys are all there",
    "mend": "restore.lua: a queue is mended only with the commits that were read",
    "torn": "claim.lua, complete.lua: a queue that lost a key is not worked on",
    "fence": "_shared.lua: a counter of places that is gone while places are there is a loss",
    "reconcile": "reconcile.py: Redis is compared with the ledger before work goes on",
    "ledger": "worker.py: the ledger is compared with the base before it is learned on",
    "before": "worker.py: who is about to write the ledger loses its turn before that",
    "idle": "worker.py: the ledger is compared with a queue that never held anything",
    "grows": "ledger.py: a ledger is replaced only by one that extends it",
    "again": "ledger.py: the commits are read again before a ledger is replaced",
    "turn": "durable.py: a writer replaces nothing after another one took its turn",
}

SAFE = (
    "NoLoss NothingRefusedWrongly ExactlyOnce SameBytes Fenced OneChain NeverOvertakes InOrder "
    "LedgerAgrees"
)

GROWS = "LedgerGrows ChainGrows NothingVanishes"


@dataclass(frozen=True, slots=True)
class World:
    """What is checked, and what may go wrong meanwhile.

    Args:
        name: for the list.
        items: how many datasets.
        trouble: how often each kind of trouble may come (constants of the specification).
        bad: numbers of the datasets that are refused.
        push_again: whether pushes that Redis lost are repeated.
        check: names of invariants, or of temporal properties when `live`.
        live: whether `check` holds temporal properties, under fairness.
        steps: whether others may come between the steps of who writes the ledger.
        without: the guard that is missing.
        violates: what must be found violated then.
    """

    name: str
    items: int
    trouble: dict[str, int] = field(default_factory=dict)
    bad: str = "{}"
    push_again: bool = True
    check: str = SAFE
    live: bool = False
    steps: bool = False
    without: str = ""
    violates: str = ""

    def configuration(self) -> str:
        """Return the text of TLC's configuration file."""
        guards = ", ".join(f'"{guard}"' for guard in GUARDS if guard != self.without)
        kinds = ["Crashes", "Stops", "Restarts", "Losses", "Forgets", "Snapshots", "Tears", "Skips"]
        kinds += ["Copies", "Lates", "Unanswered"]
        lines = [
            "CONSTANTS",
            f"N = {self.items}",
            "Workers = {w1, w2}",
            f"Bad = {self.bad}",
            f"Guards = {{{guards}}}",
            f"PushAgain = {str(self.push_again).upper()}",
            f"Steps = {str(self.steps).upper()}",
            *(f"{kind} = {self.trouble.get(kind.lower(), 0)}" for kind in kinds),
        ]
        if self.live:
            lines += ["SPECIFICATION Fair", f"PROPERTIES {self.check}"]
        else:
            lines += ["SPECIFICATION Spec", "SYMMETRY Symmetry", f"INVARIANTS {self.check}"]
            lines += [f"PROPERTIES {GROWS}"]
        return "\n".join(lines) + "\n"


def _world_without(guard: str, violates: str, items: int, **trouble: int) -> World:
    return World(f"without {guard}", items, trouble, without=guard, violates=violates)


def _forgetful(guard: str, violates: str, items: int, check: str = SAFE, **trouble: int) -> World:
    """Return a world without a guard in which pushes stay lost and ledgers are written in steps."""
    return World(
        f"without {guard}",
        items,
        trouble,
        push_again=False,
        check=check,
        steps=True,
        without=guard,
        violates=violates,
    )


WORLDS = (
    World("workers die, stop, lose replies", 3, {"crashes": 1, "stops": 1, "unanswered": 1}),
    World("leases end though their holders live", 3, {"crashes": 1, "lates": 1}),
    World("copies and bad datasets", 2, dict.fromkeys(("crashes", "copies", "lates"), 1), "{2}"),
    World("Redis restarts", 2, {"crashes": 1, "restarts": 1, "unanswered": 1, "stops": 1}),
    World("Redis forgets", 2, {"crashes": 1, "losses": 1}),
    World("Redis forgets, and pushes stay lost", 2, {"losses": 1}, push_again=False),
    World("Redis forgets what was refused", 2, {"losses": 1, "lates": 1}, "{1}"),
    World(
        "Redis forgets what was skipped",
        2,
        {"losses": 1, "skips": 1},
        check=SAFE.replace("SameBytes ", "").replace(" LedgerAgrees", ""),
    ),
    World("Redis forgets untold, twice", 2, {"forgets": 2}, push_again=False, steps=True),
    World(
        "Redis forgets untold, and a worker dies",
        2,
        {"forgets": 1, "crashes": 1},
        push_again=False,
        steps=True,
    ),
    World(
        "Redis is an older one, untold",
        2,
        {"forgets": 1, "snapshots": 1},
        push_again=False,
        steps=True,
    ),
    World("a key is deleted", 2, {"tears": 1}, push_again=False, steps=True),
    World("a key is deleted, and a worker dies", 3, {"tears": 1, "crashes": 1}, push_again=False),
    World(
        "all finish though one worker stays stopped",
        2,
        {"crashes": 1, "stops": 1},
        check="AllFinish",
        live=True,
    ),
    World(
        "all finish though Redis forgets",
        2,
        {"losses": 1},
        check="AllFinish LedgerFinishes",
        live=True,
    ),
    World(
        "all finish though Redis forgets untold",
        2,
        {"forgets": 1},
        check="AllFinish LedgerFinishes",
        live=True,
    ),
    World(
        "all finish though a key is deleted",
        2,
        {"tears": 1},
        check="AllFinish LedgerFinishes",
        live=True,
    ),
    World(
        "without reap",
        1,
        {"crashes": 1},
        check="AllFinish",
        live=True,
        without="reap",
        violates="AllFinish",
    ),
    _world_without("copies", "NothingRefusedWrongly", 1, copies=1),
    _world_without("place", "NothingRefusedWrongly", 2, crashes=1),
    _world_without("unique", "Fenced", 1, losses=1),
    _world_without("complete", "Fenced", 1, lates=1),
    World("without order", 2, {"losses": 1}, "{1}", without="order", violates="NeverOvertakes"),
    World(
        "without head",
        2,
        {"losses": 1, "skips": 1},
        check="OneChain",
        without="head",
        violates="OneChain",
    ),
    _world_without("renew", "Fenced", 1, lates=1, crashes=1),
    _world_without("release", "Fenced", 1, lates=1, crashes=1),
    _world_without("extend", "ExactlyOnce", 1, losses=1),
    World(
        "without reconcile",
        2,
        {"losses": 1},
        push_again=False,
        check="LedgerAgrees",
        without="reconcile",
        violates="LedgerAgrees",
    ),
    _forgetful("ledger", "LedgerAgrees", 2, forgets=1),
    _forgetful("before", "LedgerAgrees", 2, forgets=1),
    _forgetful("grows", "LedgerGrows", 2, forgets=1),
    _forgetful("again", "LedgerAgrees", 2, forgets=1),
    _forgetful("turn", "LedgerGrows", 2, check="OneChain", forgets=1),
    _forgetful("torn", "OneChain", 2, tears=1),
    _forgetful("whole", "ExactlyOnce", 2, forgets=1, tears=1),
    _forgetful("mend", "ChainGrows", 2, tears=2),
    _forgetful("fence", "NothingRefusedWrongly", 2, tears=1),
    World(
        "without idle",
        1,
        {"forgets": 1},
        push_again=False,
        check="LedgerFinishes",
        live=True,
        without="idle",
        violates="LedgerFinishes",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What TLC said: the violated property ('' for none, None when it said something else)."""

    violated: str | None
    states: str
    seconds: float
    output: str

    def fits(self, world: World) -> bool:
        """Return whether that is what must come out."""
        return self.violated == world.violates


def main() -> int:
    """Return the exit code: 0 when everything came out as it must, 2 without Java."""
    parser = argparse.ArgumentParser(prog="python -m proofs.model_check", description=__doc__)
    parser.add_argument("--jar", type=Path, required=True, help="tla2tools.jar")
    parser.add_argument("--only", default="", metavar="REGEX", help="worlds whose name it matches")
    parser.add_argument("--trace", action="store_true", help="show what TLC printed")
    options = parser.parse_args()
    worlds = [world for world in WORLDS if re.search(options.only, world.name)]
    missing = _missing(options.jar)
    if missing or not worlds:
        print(missing or f"--only {options.only}: matches no world", file=sys.stderr)
        return 2
    unneeded = GUARDS.keys() - {world.without for world in WORLDS}
    if unneeded:
        print(f"no world shows why these guards are there: {sorted(unneeded)}", file=sys.stderr)
        return 1
    begin, wrong = time.monotonic(), 0
    with (
        tempfile.TemporaryDirectory(prefix="model-") as folder,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        for world, outcome in zip(
            worlds,
            pool.map(lambda world: _check(world, options.jar, Path(folder)), worlds),
            strict=True,
        ):
            wrong += not outcome.fits(world)
            found = "holds" if not outcome.violated else f"{outcome.violated} is violated"
            verdict = "as it must" if outcome.fits(world) else "WRONG"
            if outcome.violated is None:
                found = "TLC failed"
            print(
                f"{world.name:45} {found:35} {verdict}  "
                f"({outcome.states} states, {outcome.seconds:.0f} s)",
                flush=True,
            )
            if options.trace or not outcome.fits(world):
                print(outcome.output)
    print(f"\n{len(worlds)} worlds, {wrong} wrong, {time.monotonic() - begin:.0f} s")
    return 1 if wrong else 0


def _missing(jar: Path) -> str:
    """Return what is needed and not there, in one line; '' when all is."""
    if not jar.is_file():
        return f"{jar}: no such file; `make model-check` installs it"
    java = shutil.which("java")
    if not java:
        return f"no java on PATH; install Java {JAVA} (apt-get install openjdk-17-jre-headless)"
    words = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', words)
    if not version or int(version[1]) < JAVA:
        return f"{java} is older than Java {JAVA}; install openjdk-17-jre-headless or newer"
    return ""


def _check(world: World, jar: Path, folder: Path) -> Outcome:
    home = Path(tempfile.mkdtemp(dir=folder))
    shutil.copy(HERE / "Queue.tla", home)
    (home / "Queue.cfg").write_text(world.configuration(), "utf-8")
    java = [
        "java",
        "-XX:+UseSerialGC",
        f"-XX:TieredStopAtLevel={1 if world.without else 4}",
        "-Xmx2g",
    ]
    java += [f"-Djava.io.tmpdir={home}", "-cp", str(jar.resolve()), "tlc2.TLC"]
    begin = time.monotonic()
    output = subprocess.run(
        [*java, "-workers", "1", "-deadlock", "-metadir", str(home / "states"), "Queue.tla"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    states = re.findall(r"([\d,]+) distinct states found", output)
    return Outcome(
        _violated(output, world), states[-1] if states else "no", time.monotonic() - begin, output
    )


def _violated(output: str, world: World) -> str | None:
    invariant = re.search(r"Error: (?:Invariant|Action property) (\w+) is violated", output)
    if invariant:
        return invariant[1]
    if "Temporal properties were violated" in output:
        return world.check if " " not in world.check else "one of " + world.check
    return "" if "Model checking completed. No error has been found." in output else None


if __name__ == "__main__":
    sys.exit(main())

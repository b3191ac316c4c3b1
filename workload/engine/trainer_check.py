"""Whether a trainer keeps its protocol: equal bytes in every process, from any checkpoint.

A directory's days are learned here, in another process, and in a third one that continues from the
bytes of each checkpoint as a worker does that has just started. All hashes must be equal.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.engine.canonical import encode
from workload.engine.chain import ChainState, read, train
from workload.engine.processes import cause_of_death, module_environment, python
from workload.engine.records import ledger_record
from workload.errors import DatasetRefused, WorkloadError, spoken
from workload.share.dataset_file import name_date
from workload.share.listing import day_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workload.trainers.protocol import Trainer

_ELSEWHERE = {
    "": "in another process; something else than its arguments decides, such as the order of a "
    "set, a clock, or random numbers without a seed",
    "--resumed": "when each checkpoint is saved and loaded; `save` leaves something out, or rounds",
}
"""Options of the command that learns again, and what is wrong when its checkpoints differ."""

_SAID = "workload: "
"""Before the one line that a command ends with."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What learning a directory gave.

    Attributes:
        hashes: SHA-256 of the checkpoint of each file that was not refused.
        refused: reason by file.
    """

    hashes: dict[str, str]
    refused: dict[str, str]


def check(
    trainer: Trainer[Any, Any], datasets: Path, arguments: list[str], advance: Callable[[str], None]
) -> Checked:
    """Train on a directory in three ways.

    Args:
        trainer: to be checked.
        datasets: directory as for `share.listing.day_files`.
        arguments: of the `workload` command that prints `learn` of the same as JSON.
        advance: called with the name of each file that was learned here.

    Raises:
        WorkloadError: one line; the first file whose checkpoints differ, or training that changed
            the model it was given.
        UsageError: there are no datasets.
    """
    here = learn(trainer, datasets, advance=advance)
    for more, why in _ELSEWHERE.items():
        there = _elsewhere([*arguments, "--hashes", *more.split()])
        for name in {**here.hashes, **here.refused}:
            if (here.hashes.get(name), here.refused.get(name)) != (
                there.hashes.get(name),
                there.refused.get(name),
            ):
                raise WorkloadError(f"{name}: not the same {why}")
    return here


def learn(
    trainer: Trainer[Any, Any],
    datasets: Path,
    *,
    resumed: bool = False,
    advance: Callable[[str], None] = lambda _: None,
) -> Checked:
    """Train on the days of a directory in order.

    Args:
        trainer: which learns them.
        datasets: directory as for `share.listing.day_files`.
        resumed: whether to go on from the bytes of each checkpoint.
        advance: called with the name of each file.

    Raises:
        WorkloadError: one line; the trainer raised something, changed the model that it was given,
            or tested it otherwise than `evaluate` does.
    """
    with _finding("before the first day"):
        state = ChainState.start(trainer)
    hashes, refused = {}, {}
    for path in day_files(datasets).values():
        try:
            with _finding(path.name):
                after, content = _learned(trainer, state, path)
                state = ChainState.from_bytes(trainer, content) if resumed else after
        except DatasetRefused as error:
            refused[path.name] = str(error)
        else:
            hashes[path.name] = str(after.checkpoint)
        advance(path.name)
    return Checked(hashes, refused)


def _learned(
    trainer: Trainer[Any, Any], state: ChainState[Any], path: Path
) -> tuple[ChainState[Any], bytes]:
    before = _bytes(trainer, state)
    dataset = read(trainer, path, date=name_date(path))
    after, content = train(trainer, state, dataset)
    ledger_record(after.record)
    if _bytes(trainer, state) != before:
        raise WorkloadError(f"{path.name}: the model before it is not left as it was")
    tested = after.record["metrics"]["next_day"]
    if tested and encode(tested) != encode(dict(trainer.evaluate(state.model, dataset.data))):
        raise WorkloadError(
            f"{path.name}: `train` tests the model before it, and differs from `evaluate`"
        )
    return after, content


@contextmanager
def _finding(day: str) -> Iterator[None]:
    """Turn what a trainer raises, `sys.exit` included, into one line that names the day."""
    try:
        yield
    except (WorkloadError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise WorkloadError(f"{day}: {spoken(error)}") from error


def _bytes(trainer: Trainer[Any, Any], state: ChainState[Any]) -> bytes:
    return encode(dict(trainer.save(state.model)))


def _elsewhere(arguments: list[str]) -> Checked:
    done = subprocess.run(  # noqa: S603 - this package
        python("workload", *arguments),
        env={**module_environment(), "PYTHONHASHSEED": str(1 + os.getpid())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout:
        said = [line for line in done.stderr.splitlines() if line.startswith(_SAID)]
        reason = said[-1].removeprefix(_SAID) if said else cause_of_death(done.returncode)
        raise WorkloadError(f"in another process: {reason}")
    return Checked(**json.loads(done.stdout.splitlines()[0]))

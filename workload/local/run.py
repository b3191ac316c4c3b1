"""What `workload run` does, from files to the closing summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from workload.engine.ledger import ledger_if_any
from workload.engine.reporting import closing_line, next_command, refresh_report
from workload.errors import UsageError
from workload.local.display import RunDisplay, counting
from workload.local.share_queue import serve
from workload.local.supervisor import Outcome, Supervisor, local_share
from workload.share.durable import sha256, writing
from workload.share.listing import left_out, testing_dataset, training_datasets
from workload.text import printable, warn
from workload.trainers.identity import require_setting
from workload.trainers.loading import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workload.errors import ExitCode
    from workload.share.store import Share

SIMULATED_DAYS = 30
"""Days simulated when neither datasets nor a number of days is given for an empty share."""


_SIMULATED = ".simulated-"


@dataclass(frozen=True, slots=True)
class Simulation:
    """How to make datasets for a trainer.

    Attributes:
        what: what is simulated, for people.
        write: writes so many days to a directory, and calls a function with each file and its rows.
    """

    what: str
    write: Callable[[Path, int, Callable[[Path, int], None]], object]


def run_locally(
    root: Path,
    *,
    datasets: Path | None,
    days: int | None,
    workers: int,
    trainer: str,
    simulation: Simulation | None,
) -> ExitCode:
    """Run the batch on the share `root` and print what came of it.

    Args:
        root: of the share.
        datasets: directory to transfer; None to go on with what is there, or to simulate.
        days: how many days to simulate; None for `SIMULATED_DAYS` if the share is empty.
        workers: how many processes.
        trainer: what learns, as in the workers' settings.
        simulation: makes the trainer's datasets, if anything can.

    Raises:
        UsageError: there is no such trainer, or the share is another's.
        WorkloadError: it could not run to its end; the work done is kept.
    """
    name = name_of(trainer)
    share = local_share(root)
    with serve(share.root) as server:
        share.probe_writable()
        share.sweep(0.0)  # this run is alone
        for line in ledger_if_any(share)[-1:]:
            require_setting(trainer, line)  # before files of another kind get there
        if datasets is not None:
            _transfer(share, datasets)
        elif days is not None or not training_datasets(share.root):
            if simulation is None:
                raise UsageError(
                    f"trainer {name!r}: only card transactions can be simulated; name your own "
                    "files with --datasets"
                )
            _simulate(share, days or SIMULATED_DAYS, simulation)
        else:
            warn(*left_out(share.root / "datasets"))
        with RunDisplay() as display:
            outcome = Supervisor(share, workers, display, trainer, server).run()
    if outcome.ledger:
        refresh_report(share, outcome.ledger, outcome.status.dead, name)
    _summarize(root, outcome)
    return outcome.exit_code


def _transfer(share: Share, datasets: Path) -> None:
    from workload.share.transfer import transfer  # noqa: PLC0415

    warn(*left_out(datasets))
    with counting("Transferring", None) as advance:
        done = transfer(datasets, share.root, advance)
    print(  # noqa: T201
        f"Transferred {len(done.copied)} files from {datasets}, {len(done.present)} were there"
    )


def _simulate(share: Share, days: int, simulation: Simulation) -> None:
    from workload.share.transfer import transfer  # noqa: PLC0415

    for left in share.root.glob(f"{_SIMULATED}*"):  # by a run that was killed; this one is alone
        rmtree(left, ignore_errors=True)
    # Through a transfer: a file that may have been learned is never replaced by another.
    with (
        writing(share.root),
        TemporaryDirectory(prefix=_SIMULATED, dir=share.root, ignore_cleanup_errors=True) as made,
    ):
        with counting("Simulating", days + 1) as advance:
            simulation.write(Path(made), days, lambda path, _: advance(path.name))
        # The day after the last is for testing: a longer run has another than the chain began with.
        tested = testing_dataset(share.root) if training_datasets(share.root) else None
        kept = tested and all(sha256(tested) != sha256(new) for new in Path(made).glob("testing/*"))
        if kept:
            rmtree(Path(made) / "testing")
        transfer(Path(made), share.root)
    print(f"Simulated {days} days of {simulation.what}")  # noqa: T201
    if tested and kept:
        print(  # noqa: T201
            f"The testing dataset stays {tested.relative_to(share.root)}: days from its own on are "
            "learned without that test"
        )


def _summarize(root: Path, outcome: Outcome) -> None:
    """Print what was learned, where the report is, and what to do next."""
    lines = outcome.ledger
    learned = lines[len(lines) - outcome.learned :]
    rows = sum(line["rows"] for line in learned)
    output, quoted = root / "output", quote(str(root))
    out = [""]
    if learned:
        out.append(
            f"Learned {len(learned)} days, {rows:,} rows, in {outcome.seconds:.1f} s "
            f"({learned[0]['date']} to {learned[-1]['date']})"
        )
    else:
        out.append("Nothing new to learn")
    if lines:
        out.append(closing_line(lines[-1]))
    crashes = sum(line["crashes"] for line in learned)
    attempts = sum(line["attempts"] for line in learned)
    if outcome.replaced or crashes or attempts:
        out.append(
            f"Workers replaced: {outcome.replaced}; datasets taken over from a dead worker: "
            f"{crashes}; failed attempts: {attempts}; nothing was lost"
        )
    out += [
        f"{letter.kind.title()}: {letter.dataset}: {letter.reason}"
        for letter in outcome.status.dead
    ]
    if outcome.status.halted:
        halted = outcome.status.halted
        out.append(f"Halted at {halted.dataset}: {halted.reason}")
        out.append(f"Next: workload queue retry --share {quoted}")
        out.append(f"  or: workload queue skip {quote(halted.dataset)} --share {quoted}")
    elif outcome.status.dead:
        out.append(f"Next: repair the files, then workload queue rebuild --share {quoted}")
    if lines:
        out.append(f"Report: {output / 'report.html'}")
        out.append(f"Model:  {output / lines[-1]['checkpoint_file']}")
        command = next_command(lines[-1], output)
        if command and not outcome.status.dead and not outcome.status.halted:
            out.append(f"Next: {command}")
    print("\n".join(map(printable, out)))  # noqa: T201

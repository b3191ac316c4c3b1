"""`workload trainer`: whether a trainer of your own keeps its protocol."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from workload.cli import streams
from workload.cli.options import DayFilesOption, show_help
from workload.errors import ExitCode
from workload.text import printable, warn

app = typer.Typer(
    help="Trainers of your own: docs/own-trainer.md.",
    callback=show_help,
    invoke_without_command=True,
)


@app.command(
    "check",
    epilog="Example: `workload trainer check examples.energy_load:EnergyLoad --datasets data`",
)
def check_trainer(
    trainer: Annotated[str, typer.Argument(help="fraud, or module:attribute of your own.")],
    datasets: DayFilesOption,
    *,
    hashes: Annotated[bool, typer.Option("--hashes", hidden=True)] = False,
    resumed: Annotated[bool, typer.Option("--resumed", hidden=True)] = False,
) -> int:
    """Check that a trainer gives the same checkpoints in every process, and from any checkpoint.

    Nothing is written.
    """
    from workload.engine.trainer_check import check, learn
    from workload.local.display import counting
    from workload.share.listing import beside_days
    from workload.trainers.loading import load

    if hashes:
        with streams.reserved() as answer:  # a trainer may print
            learned = learn(load(trainer), datasets, resumed=resumed)
            answer.write(json.dumps(asdict(learned)) + "\n")
        return ExitCode.DONE
    learner = load(trainer)
    warn(*beside_days(datasets))
    arguments = ["trainer", "check", trainer, "--datasets", str(datasets)]
    with counting("Checking", None) as advance:
        checked = check(learner, datasets, arguments, advance)
    for name, reason in checked.refused.items():
        typer.echo(printable(f"{name}: refused: {reason}"))
    typer.echo(
        f"{len(checked.hashes)} checkpoints, the same in another process and from each checkpoint "
        f"on; refused: {len(checked.refused)}"
    )
    return ExitCode.DONE

"""What several commands share: options, and the help of a group without a command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workload.trainers.loading import with_options

TrainerOption = Annotated[
    str,
    typer.Option(
        envvar="WORKLOAD_TRAINER",
        help="What learns: fraud, or module:attribute of your own (docs/own-trainer.md).",
    ),
]
DayFilesOption = Annotated[
    Path, typer.Option(help="Directory of day files, or with training/ holding them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]

LabelOption = Annotated[
    str | None,
    typer.Option(
        help="Label column of the trainer fraud: 0 genuine, above 0 fraud; short for "
        "--trainer 'fraud?label=...'."
    ),
]

FRAUD = "fraud"
"""The trainer whose commands `simulate`, `score` and `evaluate` are."""


def with_label(trainer: str, label: str | None) -> str:
    """Return the setting of a trainer with the label column among its options, if one is given."""
    return trainer if label is None else with_options(trainer, {"label": label})


class FileFormat(StrEnum):
    """Formats the simulator writes."""

    pkl = "pkl"
    parquet = "parquet"


def show_help(context: typer.Context) -> None:
    """Print the help of a group that was called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

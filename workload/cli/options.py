"""What several commands share: options, and the help of a group without a command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

TrainerOption = Annotated[
    str,
    typer.Option(
        envvar="WORKLOAD_TRAINER",
        help="What learns: fraud, or module:attribute of your own (docs/own-trainer.md).",
    ),
]
LabelOption = Annotated[str, typer.Option(help="Label column: 0 genuine, above 0 fraud.")]
DayFilesOption = Annotated[
    Path, typer.Option(help="Directory of day files, or with training/ holding them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


class FileFormat(StrEnum):
    """Formats the simulator writes."""

    pkl = "pkl"
    parquet = "parquet"


def show_help(context: typer.Context) -> None:
    """Print the help of a group that was called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

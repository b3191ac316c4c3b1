"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
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

"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

TrainerOption = Annotated[
    str,
    typer.Option(
        envvar="WORKLOAD_TRAINER",
        help="What learns: fraud, or module:attribute of your own (docs/own-trainer.md).",
    ),
]


class FileFormat(StrEnum):
    """Formats the simulator writes."""

    pkl = "pkl"
    parquet = "parquet"

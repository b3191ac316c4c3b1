"""`workload evaluate`: the fraud learner judged by a published protocol."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workload.cli.options import FRAUD, DayFilesOption, JsonOption
from workload.errors import UsageError
from workload.text import warn

app = typer.Typer()


class ProtocolName(StrEnum):
    """How the learner is judged; see workload/fraud/evaluation/protocols.py."""

    handbook = "handbook"
    prequential = "prequential"


@app.command(epilog="Example: `workload evaluate --datasets data --protocol handbook`")
def evaluate(
    datasets: DayFilesOption,
    protocol: Annotated[
        ProtocolName,
        typer.Option(help="handbook: 4 folds of 7 test days; prequential: every day from day 38."),
    ],
    *,
    lag_days: Annotated[
        int, typer.Option(help="Days until a label is known, in features and in training.")
    ] = 8,
    label: Annotated[
        str, typer.Option(help="Label column: 0 genuine, above 0 fraud.")
    ] = "TX_FRAUD_SCENARIO",
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="Also fit logistic regression, random forest and gradient boosting on the "
            "handbook's 15 features (handbook protocol; takes minutes).",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge the learner by a published protocol, beside baselines, with labels that come late.

    Figures come twice: learned from the whole chain of days, and from 7 labelled days only. Nothing
    is written.
    """
    from workload.fraud.evaluation.baselines import FITS
    from workload.fraud.evaluation.protocols import Protocol
    from workload.fraud.evaluation.results import Settings
    from workload.fraud.evaluation.results import evaluate as judge
    from workload.fraud.evaluation.text import as_text
    from workload.local.display import counting
    from workload.share.listing import beside_days, day_files

    _refuse_other_trainers(datasets)
    settings = Settings(Protocol(protocol.value), lag_days, label, baselines)
    warn(*beside_days(datasets))
    steps = len(day_files(datasets)) + (FITS if baselines else 0)
    with counting("Evaluating", steps, every=30) as advance:
        result = judge(datasets, settings, advance)
    typer.echo(json.dumps(result) if as_json else as_text(result))


def _refuse_other_trainers(datasets: Path) -> None:
    """Raise UsageError when a directory is a share whose chain is another trainer's."""
    from workload.engine.ledger import LEDGER_FILE, read_ledger
    from workload.trainers.identity import trainer_of

    for line in read_ledger(datasets / "output" / LEDGER_FILE)[-1:]:
        if (trainer := trainer_of(line)) != FRAUD:
            raise UsageError(
                f"{datasets}: learned by the trainer {trainer!r}; these protocols judge "
                f"the trainer {FRAUD} only"
            )

"""`workload score`: fraud probabilities of a day's transactions, by a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(
    epilog="Example: `workload score --checkpoint share/output/model_cpt_2018-04-30.pkl "
    "--dataset share/datasets/testing/test_dataset.pkl --out scores.csv --cards 100 --explain`"
)
def score(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint file, of an earlier day.")],
    dataset: Annotated[Path, typer.Option(help="Day file to score; labels are not needed.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    *,
    cards: Annotated[
        int | None,
        typer.Option(help="Cards one can check: adds CHECK, true for those ranked highest.", min=1),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the three main reasons of each score.")
    ] = False,
) -> None:
    """Write the fraud probability and the rank of each transaction of a day.

    For checkpoints of the trainer fraud.
    """
    from workload.engine.chain import ChainState
    from workload.fraud.score import require_format
    from workload.fraud.score import score as write_scores
    from workload.fraud.trainer import FraudTrainer

    require_format(out)
    model = ChainState.from_file(FraudTrainer(), checkpoint).model
    written = write_scores(model, dataset, out, cards=cards, explain=explain)
    typer.echo(f"{written.rows:,} transactions scored: {out}")
    if cards is not None and written.threshold is not None:
        typer.echo(f"to check {cards:,} cards: probability {written.threshold:.6f} and above")
    elif cards is not None:
        typer.echo(f"to check: all cards, there are no more than {cards:,}")

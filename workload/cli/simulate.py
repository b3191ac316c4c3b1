"""`workload simulate`: card transactions with known frauds."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from workload.cli.options import FileFormat

app = typer.Typer()


@app.command(epilog="Example: `workload simulate --out data --days 30`")
def simulate(
    out: Annotated[Path, typer.Option(help="Directory to write training/ and testing/ into.")],
    days: Annotated[int, typer.Option(help="Training days; the day after is for testing.", min=1)],
    start: Annotated[
        dt.datetime, typer.Option(help="First day.", formats=["%Y-%m-%d"])
    ] = "2018-04-01",  # type: ignore[assignment]
    seed: Annotated[
        int, typer.Option(help="World to draw from; same seed, same files.", min=0)
    ] = 0,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="Format of the files.")
    ] = FileFormat.pkl,
) -> None:
    """Simulate daily card transactions with known frauds."""
    from workload.fraud.simulator import simulate as write_days
    from workload.local.display import counting

    rows = 0
    with counting("Simulating", days + 1) as advance:

        def on_day(path: Path, count: int) -> None:
            nonlocal rows
            rows += count
            advance(f"{path.parent.name}/{path.name}")

        write_days(
            out,
            days=days,
            start=start.date(),
            seed=seed,
            file_format=file_format.value,
            on_day=on_day,
        )
    typer.echo(f"{days} training days and 1 testing day, {rows:,} transactions: {out}")

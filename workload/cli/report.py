"""`workload report`: the report once more, from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(epilog="Example: `workload report --share share`")
def report(
    share: Annotated[Path, typer.Option(help="Share with output/ledger.jsonl.")],
) -> None:
    """Write report.txt and report.html again from the ledger."""
    from workload.engine.reporting import rewrite_report

    for path in rewrite_report(share):
        typer.echo(path)

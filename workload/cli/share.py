"""`workload share`: datasets into a share and results out of it, through pipes."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workload.cli.options import JsonOption, show_help
from workload.errors import ShareUnusable
from workload.text import printable

app = typer.Typer(
    help="Copy datasets to the share and results from it, through a pipe; for scripts.",
    callback=show_help,
    invoke_without_command=True,
)


class Area(StrEnum):
    """What is exchanged with a share: datasets go in, results come out."""

    datasets = "datasets"
    output = "output"


RootOption = Annotated[
    Path | None, typer.Option("--share", help="Share; without it, that of WORKLOAD_SHARE.")
]


@app.command("list", epilog="Example: `workload share list output --json`")
def list_area(
    area: Annotated[Area, typer.Argument(help="What to list.")] = Area.datasets,
    *,
    as_json: JsonOption = False,
    share: RootOption = None,
) -> None:
    """List files with their size in bytes and SHA-256."""
    from workload.share.stream import list_files

    files = list_files(share_root(share), area.value)
    if as_json:
        typer.echo(json.dumps([asdict(file) for file in files]))
        return
    for file in files:
        typer.echo(printable(f"{file.sha256}  {file.size:>13,}  {file.path}"))


@app.command(epilog="Example: `workload share receive < list-and-files`")
def receive(share: RootOption = None) -> None:
    """Write datasets from standard input, each whole or not at all.

    The input is a list of files, then the bytes of each from where an earlier attempt broke off;
    what the sender must know for that is printed (see workload/share/stream.py).
    """
    from workload.share.stream import receive as receive_datasets

    root = share_root(share)
    if not root.is_dir():
        raise ShareUnusable(f"{root}: no such directory; mount the share or name another")
    receive_datasets(root, sys.stdin.buffer, lambda line: print(line, flush=True))  # noqa: T201


@app.command(epilog="Example: `workload share send < questions > list-and-files`")
def send(share: RootOption = None) -> None:
    """Write a list of the results to standard output, and the results that standard input asks for.

    See workload/share/stream.py for both.
    """
    from workload.share.stream import send as send_results

    with open(sys.stdout.fileno(), "wb", closefd=False) as sink:
        send_results(share_root(share), sys.stdin.buffer, sink)


def share_root(share: Path | None) -> Path:
    """Return the share, without the time that it takes to check all settings."""
    from workload.share.store import SHARE

    return share or Path(os.environ.get("WORKLOAD_SHARE") or SHARE)

"""`workload queue`: what an operator sees of the queue and does to it."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from workload.cli.connection import open_queue
from workload.cli.options import LabelOption, TrainerOption, with_label
from workload.errors import ExitCode, UsageError
from workload.text import printable
from workload.trainers.loading import DEFAULT, with_options

app = typer.Typer()


ShareOption = Annotated[
    Path | None,
    typer.Option(help="Share of a local run; without it, the Redis of WORKLOAD_REDIS_URL."),
]


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """The operator's side of the queue."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("push", epilog="Example: `workload queue push datasets/training/2018-04-01.pkl`")
def push(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Datasets, as paths below the share.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every dataset in datasets/training, in date order.")
    ] = False,
    share: ShareOption = None,
) -> None:
    """Enqueue datasets, oldest first; those already known are skipped."""
    if bool(paths) == every:
        raise UsageError("name datasets, or say --all")
    with open_queue(share) as (queue, settings):
        names = [_below_share(path, settings.share) for path in paths or []]
        names = names or _training_datasets(settings.share)
        length, verdicts = queue.push(names)
    seen: set[str] = set()
    for name in names:
        verdict = "waiting" if name in seen else verdicts[name]
        seen.add(name)
        note = "" if verdict == "pushed" else f" (not pushed: {_why(verdict)})"
        typer.echo(printable(name) + note)
    typer.echo(f"Queue length: {length}")


@app.command("status", epilog="Example: `workload queue status --json`")
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    share: ShareOption = None,
) -> int:
    """Show what waits, what is in work, and where the chain is."""
    with open_queue(share) as (queue, _):
        status = queue.status()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "waiting": status.waiting,
                    "committed": status.committed,
                    "processing": [
                        {
                            "dataset": claim.dataset,
                            "session": claim.session,
                            "lease_seconds": round(claim.lease_seconds, 3),
                            "crashes": claim.crashes,
                        }
                        for claim in status.claims
                    ],
                    "dead": [
                        {"dataset": letter.dataset, "kind": letter.kind, "reason": letter.reason}
                        for letter in status.dead
                    ],
                    "head": {
                        "dataset": status.head.dataset,
                        "date": status.head.date,
                        "checkpoint": status.head.checkpoint,
                    },
                    "halted": {
                        "dataset": status.halted.dataset,
                        "reason": status.halted.reason,
                    }
                    if status.halted
                    else None,
                }
            )
        )
    else:
        typer.echo(f"waiting     {status.waiting}")
        typer.echo(f"processing  {len(status.claims)}")
        for claim in status.claims:
            typer.echo(
                f"  {printable(claim.dataset)}  worker {claim.session or 'foreign'}  lease ends in "
                f"{claim.lease_seconds:.0f} s"
            )
        typer.echo(f"committed   {status.committed}")
        typer.echo(f"dead        {len(status.dead)}")
        typer.echo(printable(f"head        {status.head.dataset or 'none'}"))
        if status.halted:
            typer.echo(printable(f"HALTED      {status.halted.dataset}: {status.halted.reason}"))
    return ExitCode.INCOMPLETE if status.halted else ExitCode.DONE


@app.command("dead", epilog="Example: `workload queue dead`")
def dead(share: ShareOption = None) -> None:
    """List the dead letters: datasets refused for their content, or skipped by hand."""
    with open_queue(share) as (queue, _):
        dead = queue.status().dead
    for letter in dead:
        typer.echo(printable(f"{letter.dataset}: {letter.kind}: {letter.reason}"))
    if not dead:
        typer.echo("no dead letters")


@app.command("retry", epilog="Example: `workload queue retry`")
def retry(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Datasets; none: the one the chain halted on.")
    ] = None,
    share: ShareOption = None,
) -> int:
    """Let a halted chain try its dataset again."""
    with open_queue(share) as (queue, _):
        verdicts = queue.retry(paths or [])
    if not verdicts:
        typer.echo("the chain is not halted")
    for path, verdict in verdicts.items():
        typer.echo(f"{printable(path)}: {_why(verdict)}")
    return (
        ExitCode.DONE
        if all(verdict == "retried" for verdict in verdicts.values())
        else ExitCode.INCOMPLETE
    )


@app.command("skip", epilog="Example: `workload queue skip datasets/training/2018-04-02.pkl`")
def skip(
    path: Annotated[str, typer.Argument(help="Dataset to leave out of the chain.")],
    share: ShareOption = None,
) -> None:
    """Leave an unfinished dataset out, so that the chain goes on without it."""
    with open_queue(share) as (queue, _):
        if not queue.skip(path, "skipped by an operator"):
            raise UsageError(
                f"{path}: neither waiting nor in work; `workload queue status` shows both"
            )
    typer.echo(f"{path}: skipped; `workload queue rebuild` readmits it")


@app.command("rebuild", epilog="Example: `workload queue rebuild`")
def rebuild(
    share: ShareOption = None,
    label: LabelOption = None,
    trainer: TrainerOption = DEFAULT,
) -> None:
    """Restore the queue from the files: keep the chain they prove, requeue the rest by date.

    For a Redis that lost everything, a repaired dataset, or one that came late. Workers at work
    start over with what is left.
    """
    from workload.engine.reconcile import any_record
    from workload.engine.reconcile import rebuild as rebuild_queue
    from workload.local.display import counting
    from workload.share.store import Share
    from workload.trainers.loading import load

    with open_queue(share) as (queue, settings):
        store = Share(settings.share, settings.visibility_seconds)
        store.probe_writable()
        trainer, learned = with_label(trainer, label), any_record(store)
        if trainer == learned.get("trainer"):  # a built-in one, and nobody asks for other options
            trainer = with_options(trainer, learned["options"])
        with counting("Reading", None) as advance:
            rebuilt = rebuild_queue(queue, store, load(trainer), advance)
    typer.echo(
        f"kept {len(rebuilt.kept)} learned, queued {len(rebuilt.waiting)}, "
        f"refused {len(rebuilt.refused)}"
    )
    for letter in rebuilt.refused:
        typer.echo(printable(f"{letter.dataset}: refused: {letter.reason}"))


def _training_datasets(root: Path) -> list[str]:
    from workload.share.listing import training_datasets
    from workload.share.store import TRAINING

    names = training_datasets(root)
    if not names:
        raise UsageError(f"{root / TRAINING}: no datasets; copy them there first")
    return names


def _below_share(path: str, root: Path) -> str:
    """A path as the queue names it: relative to the share, also when given from outside."""
    name = PurePosixPath(path)
    for base in (root, root.resolve()):
        for candidate in (name, PurePosixPath(Path(path).absolute())):
            if candidate.is_absolute() and candidate.is_relative_to(base):
                name = candidate.relative_to(base)
    if root.is_dir() and not (root / name).is_file():
        raise UsageError(f"{path}: no such file below the share {root}; nothing was pushed")
    return str(name)


def _why(verdict: str) -> str:
    return {
        "retried": "will be tried again",
        "not halted": "the chain is not halted on it",
        "waiting": "it waits already",
        "processing": "it is in work",
        "committed": "it is learned already",
        "refused": "it was refused; `workload queue rebuild` readmits it when it is repaired",
        "skipped": "it was skipped; `workload queue rebuild` readmits it",
    }[verdict]

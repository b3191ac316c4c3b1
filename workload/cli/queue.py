"""`workload queue`: what an operator sees of the queue and does to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from workload.cli.connection import open_queue
from workload.cli.options import JsonOption, LabelOption, TrainerOption, show_help, with_label
from workload.errors import ExitCode, UsageError
from workload.text import printable, warn
from workload.trainers.loading import DEFAULT, with_options

if TYPE_CHECKING:
    from workload.queue import Status

app = typer.Typer(
    help="The operator's side of the queue.",
    callback=show_help,
    invoke_without_command=True,
)

ShareOption = Annotated[
    Path | None,
    typer.Option(help="Share of a local run; without it, the Redis of WORKLOAD_REDIS_URL."),
]

_VERDICTS = {
    "retried": "will be retried",
    "not halted": "the chain is not halted on it",
    "waiting": "already queued",
    "processing": "in progress",
    "committed": "already committed",
    "refused": "refused; `{rebuild}` readmits it once it is repaired",
    "skipped": "skipped; `{rebuild}` readmits it",
}
"""What the queue's answers to `push` and `retry` mean."""


@app.command(epilog="Example: `workload queue push datasets/training/2018-04-01.pkl`")
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
        raise UsageError("name datasets, or pass --all")
    with open_queue(share) as (queue, settings):
        names = [_below_share(path, settings.share) for path in paths or []]
        names = names or _training_datasets(settings.share)
        length, verdicts = queue.push(names)
    seen: set[str] = set()
    for name in names:
        verdict = "waiting" if name in seen else verdicts[name]
        seen.add(name)
        note = "" if verdict == "pushed" else f" (not pushed: {_meaning(verdict, share)})"
        typer.echo(printable(name) + note)
    typer.echo(f"Queue length: {length}")


@app.command("status", epilog="Example: `workload queue status --json`")
def show_status(
    *,
    as_json: JsonOption = False,
    share: ShareOption = None,
) -> int:
    """Show what waits, what is in progress, and where the chain is."""
    with open_queue(share, look=True) as (queue, _):
        status = queue.status()
    typer.echo(_as_json(status) if as_json else _as_text(status))
    return ExitCode.INCOMPLETE if status.halted else ExitCode.DONE


@app.command("dead", epilog="Example: `workload queue dead`")
def list_dead(share: ShareOption = None) -> None:
    """List the dead letters: datasets refused for their content, or skipped by hand."""
    with open_queue(share, look=True) as (queue, _):
        dead = queue.status().dead
    for letter in dead:
        typer.echo(printable(f"{letter.dataset}: {letter.kind}: {letter.reason}"))
    if not dead:
        typer.echo("no dead letters")


@app.command(epilog="Example: `workload queue retry`")
def retry(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Datasets; none: the one the chain halted on.")
    ] = None,
    share: ShareOption = None,
) -> int:
    """Let a halted chain try its dataset again."""
    with open_queue(share) as (queue, settings):
        halted = queue.status().halted
        verdicts = queue.retry(
            [
                path if halted and path == halted.dataset else _item(path, settings.share)
                for path in paths or []
            ]
        )
    if not verdicts:
        typer.echo("the chain is not halted")
    for path, verdict in verdicts.items():
        typer.echo(f"{printable(path)}: {_meaning(verdict, share)}")
    return (
        ExitCode.DONE
        if all(verdict == "retried" for verdict in verdicts.values())
        else ExitCode.INCOMPLETE
    )


@app.command(epilog="Example: `workload queue skip datasets/training/2018-04-02.pkl`")
def skip(
    path: Annotated[str, typer.Argument(help="Dataset to leave out of the chain.")],
    share: ShareOption = None,
) -> None:
    """Leave an unfinished dataset out, so that the chain continues without it."""
    with open_queue(share) as (queue, settings):
        # As it is written first: anyone may have pushed another spelling.
        names = dict.fromkeys((path, _item(path, settings.share)))
        if not any(queue.skip(name, "skipped by an operator") for name in names):
            raise UsageError(
                f"{path}: neither waiting nor in progress; `{_command('status', share)}` shows both"
            )
    typer.echo(f"{path}: {_meaning('skipped', share)}")


@app.command(epilog="Example: `workload queue rebuild`")
def rebuild(
    share: ShareOption = None,
    label: LabelOption = None,
    trainer: TrainerOption = DEFAULT,
) -> None:
    """Restore the queue from the files: keep the chain they prove, requeue the rest by date.

    For a Redis that lost everything, a repaired dataset, or one that came late. Workers that run
    start over with what is left.
    """
    from workload.engine.reconcile import any_record
    from workload.engine.reconcile import rebuild as rebuild_queue
    from workload.local.display import counting
    from workload.share.listing import left_out
    from workload.share.store import Share
    from workload.trainers.loading import load

    with open_queue(share, mend=True) as (queue, settings):
        store = Share(settings.share, settings.visibility_seconds)
        store.probe_writable()
        trainer, learned = with_label(trainer, label), any_record(store)
        if trainer == learned.get("trainer"):  # a built-in one, and nobody asks for other options
            trainer = with_options(trainer, learned["options"])
        with counting("Reading", None) as advance:
            rebuilt = rebuild_queue(queue, store, load(trainer), advance)
        warn(*left_out(settings.share / "datasets"))
    typer.echo(
        f"kept {len(rebuilt.kept)} learned, queued {len(rebuilt.waiting)}, "
        f"refused {len(rebuilt.refused)}"
    )
    for letter in rebuilt.refused:
        typer.echo(printable(f"{letter.dataset}: refused: {letter.reason}"))


def _as_json(status: Status) -> str:
    head = status.head
    return json.dumps(
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
            "dead": [asdict(letter) for letter in status.dead],
            "head": {"dataset": head.dataset, "date": head.date, "checkpoint": head.checkpoint},
            "halted": asdict(status.halted) if status.halted else None,
        }
    )


def _as_text(status: Status) -> str:
    lines = [
        f"waiting     {status.waiting}",
        f"processing  {len(status.claims)}",
        *(
            f"  {claim.dataset}  worker {claim.session or 'foreign'}  lease ends in "
            f"{claim.lease_seconds:.0f} s"
            for claim in status.claims
        ),
        f"committed   {status.committed}",
        f"dead        {len(status.dead)}",
        f"head        {status.head.dataset or 'none'}",
    ]
    if status.halted:
        lines.append(f"HALTED      {status.halted.dataset}: {status.halted.reason}")
    return "\n".join(map(printable, lines))


def _training_datasets(root: Path) -> list[str]:
    from workload.share.listing import left_out, training_datasets
    from workload.share.store import TRAINING

    names = training_datasets(root)
    warn(*left_out(root / "datasets"))
    if not names:
        raise UsageError(f"{root / TRAINING}: no datasets; copy them there first")
    return names


def _command(name: str, share: Path | None) -> str:
    """Return a command of this group for the same queue, to be typed."""
    return f"workload queue {name}" + (f" --share {quote(str(share))}" if share else "")


def _meaning(verdict: str, share: Path | None) -> str:
    return _VERDICTS[verdict].format(rebuild=_command("rebuild", share))


def _below_share(path: str, root: Path) -> str:
    """Return a path that is there as the queue names it.

    Raises:
        UsageError: there is no such file.
    """
    name = _item(path, root)
    if root.is_dir() and not (root / name).is_file():
        raise UsageError(f"{path}: no such file below the share {root}; nothing was pushed")
    return name


def _item(path: str, root: Path) -> str:
    """Return a path as the queue names it: relative to the share, also if given from outside."""
    name = PurePosixPath(path)
    for base in (root, root.resolve()):
        for candidate in (name, PurePosixPath(Path(path).absolute())):
            if candidate.is_absolute() and candidate.is_relative_to(base):
                name = candidate.relative_to(base)
    return str(name)

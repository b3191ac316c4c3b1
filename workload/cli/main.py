"""The command line. Heavy modules are imported by the commands that need them."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - typer reads annotations
import json
import logging
import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from workload import __version__
from workload.errors import ExitCode, ShareUnusable, UsageError, WorkloadError
from workload.text import PrintableFormatter, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workload.engine.settings import Settings
    from workload.queue import Queue

app = typer.Typer(
    name="workload",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
queue_app = typer.Typer()
app.add_typer(queue_app, name="queue")
share_app = typer.Typer()
app.add_typer(share_app, name="share")
trainer_app = typer.Typer()
app.add_typer(trainer_app, name="trainer")


_INTERRUPTED = 130
"""What typer makes of a Ctrl-C."""


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


def run() -> int:
    """Runs a command; errors become one line on standard error, unless ``--debug``."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(arguments, prog_name="workload", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        if debug:
            raise
        message, code = _explain(error)
        print(printable("workload: " + " ".join(message.split())), file=sys.stderr)  # noqa: T201
        return code
    if code == _INTERRUPTED:
        print("workload: stopped", file=sys.stderr)  # noqa: T201
        return ExitCode.HANDED_BACK
    return code if isinstance(code, int) else ExitCode.DONE


def _explain(error: Exception) -> tuple[str, ExitCode]:
    """One line for the user, and the exit code."""
    match error:
        case WorkloadError():
            return str(error), error.exit_code
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            hint = f" (try `{context.command_path} --help`)" if context else ""
            return error.format_message() + hint, ExitCode.USAGE
        case OSError(errno=int(number)):
            where = f"{error.filename}: " if error.filename else ""
            return where + (os.strerror(number).lower() if where else str(error)), ExitCode.FAILED
        case _:
            defect = f"{type(error).__name__}: {error} (a defect; --debug shows where)"
            return defect, ExitCode.FAILED


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
    debug: Annotated[  # noqa: ARG001 - taken out of the arguments by run()
        bool, typer.Option("--debug", help="Show tracebacks instead of one-line errors.")
    ] = False,
) -> None:
    """Batch machine learning from a Redis queue: reads, learns and reports daily datasets.

    Exit codes: 0 done; 1 failed, worth retrying; 2 bad usage or configuration; 3 drained with dead
    letters, or halted; 75 handed back on SIGTERM.
    """
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
    from workload.fraud.simulator import simulate as write_days  # noqa: PLC0415
    from workload.local.display import counting  # noqa: PLC0415

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


@app.command(
    "run",
    epilog="Example: `workload run --share share --days 30 --workers 2`, "
    "or with your own files: `workload run --share share --datasets data`",
)
def run_batch(
    share: Annotated[Path, typer.Option(help="Directory for datasets, queue and results.")],
    datasets: Annotated[
        Path | None,
        typer.Option(help="Directory with training/ and testing/ to copy to the share."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="Simulate so many days instead.", min=1, max=10_000)
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 2,
    seed: Annotated[int, typer.Option(help="World to simulate.", min=0)] = 0,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="Format of simulated files.")
    ] = FileFormat.pkl,
    label: Annotated[
        str, typer.Option(help="Label column: 0 genuine, above 0 fraud.")
    ] = "TX_FRAUD_SCENARIO",
    trainer: TrainerOption = "fraud",
) -> int:
    """Run the whole batch on this machine: transfer, queue, workers, report.

    Without --datasets and --days it goes on with what is on the share. Interrupt it any time: the
    same command resumes. Exits with 0 only when every dataset is committed.
    """
    from workload.local.run import run_locally  # noqa: PLC0415

    if datasets is not None and days is not None:
        raise UsageError("--datasets and --days: give one of them, not both")
    return run_locally(
        share,
        datasets=datasets,
        days=days,
        workers=workers,
        seed=seed,
        file_format=file_format.value,
        label=label,
        trainer=trainer,
    )


@app.command(
    epilog="Example: `WORKLOAD_SHARE=share WORKLOAD_REDIS_URL=redis://localhost workload work`"
)
def work(
    *,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> int:
    """Work as one worker of the Job until the queue is drained.

    Settings come from the environment: WORKLOAD_SHARE, WORKLOAD_REDIS_URL, REDIS_PASSWORD and
    others (docs/settings.md).
    """
    settings = _settings()
    _log_to_stdout()
    if until_stdin_closes:
        _end_with_stdin()
    from workload.engine.signals import Termination  # noqa: PLC0415

    termination = Termination()
    termination.install()
    from workload.engine.worker import work as work_as_worker  # noqa: PLC0415 - takes seconds

    return work_as_worker(settings, termination)


@app.command(epilog="Example: `workload report --share share`")
def report(
    share: Annotated[Path, typer.Option(help="Share with output/ledger.jsonl.")],
) -> None:
    """Write report.txt and report.html again from the ledger."""
    from workload.engine.reporting import rewrite_report  # noqa: PLC0415

    for path in rewrite_report(share):
        typer.echo(path)


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
    from workload.fraud.score import score as write_scores  # noqa: PLC0415

    written = write_scores(checkpoint, dataset, out, cards=cards, explain=explain)
    typer.echo(f"{written.rows:,} transactions scored: {out}")
    if cards is not None and written.threshold is not None:
        typer.echo(f"to check {cards:,} cards: probability {written.threshold:.6f} and above")
    elif cards is not None:
        typer.echo(f"to check: all cards, there are no more than {cards:,}")


class ProtocolName(StrEnum):
    """How the learner is judged; see workload/fraud/evaluation/protocols.py."""

    handbook = "handbook"
    prequential = "prequential"


@app.command(epilog="Example: `workload evaluate --datasets data --protocol handbook`")
def evaluate(
    datasets: Annotated[
        Path, typer.Option(help="Directory of day files, or with training/ holding them.")
    ],
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
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Judge the learner by a published protocol, beside baselines, with labels that come late.

    Figures come twice: learned from the whole chain of days, and from 7 labelled days only. Nothing
    is written.
    """
    from workload.fraud.evaluation.baselines import FITS  # noqa: PLC0415
    from workload.fraud.evaluation.protocols import Protocol  # noqa: PLC0415
    from workload.fraud.evaluation.results import Settings  # noqa: PLC0415
    from workload.fraud.evaluation.results import evaluate as judge  # noqa: PLC0415
    from workload.fraud.evaluation.text import as_text  # noqa: PLC0415
    from workload.local.display import counting  # noqa: PLC0415
    from workload.share.listing import day_files  # noqa: PLC0415

    _only_fraud(datasets)
    settings = Settings(Protocol(protocol.value), lag_days, label, baselines)
    steps = len(day_files(datasets)) + (FITS if baselines else 0)
    with counting("Evaluating", steps, every=30) as advance:
        result = judge(datasets, settings, advance)
    typer.echo(json.dumps(result) if as_json else as_text(result))


ShareOption = Annotated[
    Path | None,
    typer.Option(help="Share of a local run; without it, the Redis of WORKLOAD_REDIS_URL."),
]


@queue_app.callback(invoke_without_command=True)
def queue_main(context: typer.Context) -> None:
    """The operator's side of the queue."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@queue_app.command("push", epilog="Example: `workload queue push datasets/training/2018-04-01.pkl`")
def queue_push(
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
    with _queue(share) as (queue, settings):
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


@queue_app.command("status", epilog="Example: `workload queue status --json`")
def queue_status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    share: ShareOption = None,
) -> int:
    """Show what waits, what is in work, and where the chain is."""
    with _queue(share) as (queue, _):
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


@queue_app.command("dead", epilog="Example: `workload queue dead`")
def queue_dead(share: ShareOption = None) -> None:
    """List the dead letters: datasets refused for their content, or skipped by hand."""
    with _queue(share) as (queue, _):
        dead = queue.status().dead
    for letter in dead:
        typer.echo(printable(f"{letter.dataset}: {letter.kind}: {letter.reason}"))
    if not dead:
        typer.echo("no dead letters")


@queue_app.command("retry", epilog="Example: `workload queue retry`")
def queue_retry(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Datasets; none: the one the chain halted on.")
    ] = None,
    share: ShareOption = None,
) -> int:
    """Let a halted chain try its dataset again."""
    with _queue(share) as (queue, _):
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


@queue_app.command("skip", epilog="Example: `workload queue skip datasets/training/2018-04-02.pkl`")
def queue_skip(
    path: Annotated[str, typer.Argument(help="Dataset to leave out of the chain.")],
    share: ShareOption = None,
) -> None:
    """Leave an unfinished dataset out, so that the chain goes on without it."""
    with _queue(share) as (queue, _):
        if not queue.skip(path, "skipped by an operator"):
            raise UsageError(
                f"{path}: neither waiting nor in work; `workload queue status` shows both"
            )
    typer.echo(f"{path}: skipped; `workload queue rebuild` readmits it")


@queue_app.command("rebuild", epilog="Example: `workload queue rebuild`")
def queue_rebuild(
    share: ShareOption = None,
    label: Annotated[
        str | None, typer.Option(help="Label column; default: the one learned.")
    ] = None,
    trainer: TrainerOption = "fraud",
) -> None:
    """Restore the queue from the files: keep the chain they prove, requeue the rest by date.

    For a Redis that lost everything, a repaired dataset, or one that came late. Workers at work
    start over with what is left.
    """
    from workload.engine.reconcile import any_record, rebuild  # noqa: PLC0415
    from workload.local.display import counting  # noqa: PLC0415
    from workload.share.store import Share  # noqa: PLC0415
    from workload.trainers.loading import load  # noqa: PLC0415

    with _queue(share) as (queue, settings):
        store = Share(settings.share, settings.visibility_seconds)
        store.probe_writable()
        learned = any_record(store).get("label", settings.label)
        with counting("Reading", None) as advance:
            rebuilt = rebuild(queue, store, load(trainer, label=label or learned), advance)
    typer.echo(
        f"kept {len(rebuilt.kept)} learned, queued {len(rebuilt.waiting)}, "
        f"refused {len(rebuilt.refused)}"
    )
    for letter in rebuilt.refused:
        typer.echo(printable(f"{letter.dataset}: refused: {letter.reason}"))


class Area(StrEnum):
    """What is exchanged with a share: datasets go in, results come out."""

    datasets = "datasets"
    output = "output"


RootOption = Annotated[
    Path | None, typer.Option("--share", help="Share; without it, that of WORKLOAD_SHARE.")
]


@share_app.callback(invoke_without_command=True)
def share_main(context: typer.Context) -> None:
    """Copy datasets to the share and results from it, through a pipe; for scripts."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@share_app.command("list", epilog="Example: `workload share list output --json`")
def share_list(
    area: Annotated[Area, typer.Argument(help="What to list.")] = Area.datasets,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    share: RootOption = None,
) -> None:
    """List files with their size in bytes and SHA-256."""
    from workload.share.exchange import list_files  # noqa: PLC0415

    files = list_files(_root(share), area.value)
    if as_json:
        typer.echo(json.dumps([asdict(file) for file in files]))
        return
    for file in files:
        typer.echo(printable(f"{file.sha256}  {file.size:>13,}  {file.path}"))


@share_app.command("receive", epilog="Example: `workload share receive < list-and-files`")
def share_receive(share: RootOption = None) -> None:
    """Write datasets from standard input, each whole or not at all.

    The input is a list of files, then the bytes of each from where an earlier attempt broke off;
    what the sender must know for that is printed (see workload/share/exchange.py).
    """
    from workload.share.exchange import receive  # noqa: PLC0415

    root = _root(share)
    if not root.is_dir():
        raise ShareUnusable(f"{root}: no such directory; mount the share or name another")
    receive(root, sys.stdin.buffer, lambda line: print(line, flush=True))  # noqa: T201


@share_app.command("send", epilog="Example: `workload share send < questions > list-and-files`")
def share_send(share: RootOption = None) -> None:
    """Write a list of the results to standard output, and the results that standard input asks for.

    See workload/share/exchange.py for both.
    """
    from workload.share.exchange import send  # noqa: PLC0415

    with open(sys.stdout.fileno(), "wb", closefd=False) as sink:
        send(_root(share), sys.stdin.buffer, sink)


def _root(share: Path | None) -> Path:
    """The share, without the time that it takes to check all settings."""
    from workload.share.store import SHARE  # noqa: PLC0415

    return share or Path(os.environ.get("WORKLOAD_SHARE") or SHARE)


@trainer_app.callback(invoke_without_command=True)
def trainer_main(context: typer.Context) -> None:
    """Trainers of your own: docs/own-trainer.md."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@trainer_app.command(
    "check",
    epilog="Example: `workload trainer check examples.energy_load:EnergyLoad --datasets data`",
)
def trainer_check(
    trainer: Annotated[str, typer.Argument(help="fraud, or module:attribute of your own.")],
    datasets: Annotated[
        Path, typer.Option(help="Directory of day files, or with training/ holding them.")
    ],
    *,
    hashes: Annotated[bool, typer.Option("--hashes", hidden=True)] = False,
    resumed: Annotated[bool, typer.Option("--resumed", hidden=True)] = False,
) -> int:
    """Check that a trainer gives the same checkpoints in every process, and from any checkpoint.

    Nothing is written.
    """
    from workload.engine.trainer_check import check, folded  # noqa: PLC0415
    from workload.local.display import counting  # noqa: PLC0415
    from workload.trainers.loading import load  # noqa: PLC0415

    learner = load(trainer, label=_settings().label)
    if hashes:
        typer.echo(json.dumps(asdict(folded(learner, datasets, resumed=resumed))))
        return ExitCode.DONE
    arguments = ["trainer", "check", trainer, "--datasets", str(datasets)]
    with counting("Folding", None) as advance:
        checked = check(learner, datasets, arguments, advance)
    for name, reason in checked.refused.items():
        typer.echo(printable(f"{name}: refused: {reason}"))
    typer.echo(
        f"{len(checked.hashes)} checkpoints, the same in another process and from each checkpoint "
        f"on; refused: {len(checked.refused)}"
    )
    return ExitCode.DONE


@contextmanager
def _queue(share: Path | None) -> Iterator[tuple[Queue, Settings]]:
    """A session with the configured queue, or with that of a local share."""
    from workload.local.share_queue import reach  # noqa: PLC0415
    from workload.queue import Queue, connect  # noqa: PLC0415
    from workload.queue.connection import RetryPolicy  # noqa: PLC0415

    if share is not None:
        with reach(share) as url:
            os.environ.update(WORKLOAD_SHARE=str(share.resolve()), WORKLOAD_REDIS_URL=url)
            os.environ.pop("REDIS_PASSWORD", None)
            settings = _settings()
            yield Queue(connect(url), settings.limits, RetryPolicy(5.0)), settings
        return
    settings = _settings()
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    queue = Queue(connect(settings.redis_url, password), settings.limits, RetryPolicy(5.0))
    queue.verify_server()
    yield queue, settings


def _settings() -> Settings:
    from workload.engine.settings import Settings  # noqa: PLC0415

    return Settings.load()


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _end_with_stdin() -> None:
    """Sends this process SIGTERM when standard input closes: its starter is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), 15)

    threading.Thread(target=watch, daemon=True).start()


def _only_fraud(datasets: Path) -> None:
    """Raises UsageError when a directory is a share whose chain is another trainer's."""
    from workload.engine.ledger import NAME, read_ledger  # noqa: PLC0415
    from workload.trainers.identity import DEFAULT, made_by  # noqa: PLC0415

    for line in read_ledger(datasets / "output" / NAME)[-1:]:
        if made_by(line) != DEFAULT:
            raise UsageError(
                f"{datasets}: learned by the trainer {made_by(line)!r}; these protocols judge the "
                f"trainer {DEFAULT} only"
            )


def _training_datasets(root: Path) -> list[str]:
    from workload.share.listing import training_datasets  # noqa: PLC0415
    from workload.share.store import TRAINING  # noqa: PLC0415

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

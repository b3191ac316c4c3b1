"""`workload run` and `workload work`: a batch on this machine, and a worker of one."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from workload.cli.options import FRAUD, FileFormat, LabelOption, TrainerOption, with_label
from workload.errors import UsageError
from workload.text import PrintableFormatter
from workload.trainers.loading import DEFAULT, name_of

app = typer.Typer()


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
    label: LabelOption = None,
    trainer: TrainerOption = DEFAULT,
) -> int:
    """Run the whole batch on this machine: transfer, queue, workers, report.

    Without --datasets and --days it continues with what is on the share. Interrupt it any time: the
    same command resumes. Exits with 0 only when every dataset is committed.
    """
    from workload.local.run import Simulation, run_locally

    if datasets is not None and days is not None:
        raise UsageError("--datasets and --days: give one of them, not both")
    trainer = with_label(trainer, label)

    def write(directory: Path, days: int, on_day: Callable[[Path, int], None]) -> None:
        from workload.fraud.simulator import simulate

        simulate(directory, days=days, seed=seed, file_format=file_format.value, on_day=on_day)

    return run_locally(
        share,
        datasets=datasets,
        days=days,
        workers=workers,
        trainer=trainer,
        simulation=Simulation(f"card transactions (seed {seed})", write)
        if name_of(trainer) == FRAUD
        else None,
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
    from workload.engine.settings import Settings

    settings = Settings.load()
    _log_to_stdout()
    if until_stdin_closes:
        _terminate_when_stdin_closes()
    from workload.engine.signals import Termination

    termination = Termination()
    termination.install()
    from workload.engine.worker import work as work_as_worker  # takes seconds

    return work_as_worker(settings, termination)


def _log_to_stdout() -> None:
    logging.raiseExceptions = False  # a line that can't be written ends no work
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _terminate_when_stdin_closes() -> None:
    """Send this process SIGTERM when standard input closes: its starter is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()

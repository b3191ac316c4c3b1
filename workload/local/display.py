"""Progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from workload.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workload.local.supervisor import RunProgress


@contextmanager
def counting(
    what: str, total: int | None, *, every: int | None = None
) -> Iterator[Callable[[str], None]]:
    """Count things done; yield the function to call with the name of each.

    Args:
        what: what is being done.
        total: how many there are; None if that is not known.
        every: where standard error is no terminal, a line there for every so many; None for none.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[name]}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=total, name="")
        done = count(1)

        def advance(name: str) -> None:
            progress.update(task, advance=1, name=name)
            number = next(done)
            if progress.disable and every and (number % every == 0 or number == total):
                print(f"{what} {number}/{total}: {name}", file=sys.stderr)  # noqa: T201

        yield advance


class RunDisplay:
    """The live line of `workload run`: datasets, rows a second, a metric, attempts, dead."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("[bold]learned[/]"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("run", total=None, figures="starting workers")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """Show one line that stays."""
        self._console.print(printable(text), markup=False)

    def update(self, progress: RunProgress) -> None:
        """Show how far the batch is."""
        figures = (
            f"{progress.rows_per_second:,.0f} rows/s  "
            f"{progress.headline}  "
            f"retries {progress.attempts}  dead {progress.dead}"
        )
        self._progress.update(
            self._task,
            total=progress.datasets,
            completed=progress.committed + progress.dead,
            figures=figures,
        )

"""`report.html` of any trainer: what is known of every chain, and the trainer's metrics by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workload.report.document import NEW_REPORT, checksum, document, span
from workload.report.elements import Cell, Figure, Table, Tile
from workload.report.figures import failures_figure, speed_figure
from workload.report.metrics import by_day, in_words, mean, metric_names
from workload.report.plots import line_plot
from workload.text import NONE, plural, significant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workload.report.record import Committed, Record


def page(steps: Sequence[Committed], dead: Sequence[Record], *, generated: datetime) -> str:
    """Write the page; see `workload.report.write_report`."""
    return document(
        "page.html.jinja",
        steps,
        dead,
        generated=generated,
        kicker=steps[-1].trainer if steps else "no trainer yet",
        headline=_headline(steps),
        lead=_lead(steps),
        tiles=_tiles(steps) or [Tile("Next-day test", NONE, "needs a second dataset")],
        figures=[*_figures(steps), speed_figure(steps), failures_figure(steps)],
        datasets=_datasets(steps),
        promise=(
            "If the trainer keeps its promises, the model depends only on the datasets and their "
            "order, not on the number of workers or crashes"
        ),
        commands=[*(checksum(steps[-1]) if steps else ()), *NEW_REPORT],
    )


def _headline(steps: Sequence[Committed]) -> str:
    if not steps:
        return "No dataset has been learned yet"
    learned = f"{plural(len(steps), 'dataset')} learned"
    tested = [name for name in steps[-1].headline if by_day(steps, name)]
    if not tested:
        return f"{learned}, nothing yet to test the model on"
    average = significant(mean(by_day(steps, tested[-1])))
    return f"{learned}, {in_words(tested[-1])} {average} one day ahead"


def _lead(steps: Sequence[Committed]) -> str:
    if not steps:
        return "The report fills as datasets are committed."
    return f"Learned in order{span(steps)}: {plural(sum(step.rows for step in steps), 'row')}."


def _tiles(steps: Sequence[Committed]) -> list[Tile]:
    return [
        Tile(
            in_words(name),
            significant(mean(values)),
            f"one day ahead, mean of {plural(len(values), 'day')}; "
            f"the last: {significant(values[-1])}",
        )
        for name in metric_names(steps)
        if (values := by_day(steps, name))
    ]


def _figures(steps: Sequence[Committed]) -> list[Figure]:
    drawn = []
    for number, name in enumerate(metric_names(steps), start=1):
        points = [
            (step.date, value) for step in steps if step.date for value in by_day([step], name)
        ]
        if points:
            svg = line_plot(points, f"Metric {number} by day")
            drawn.append(Figure(in_words(name), "One day ahead.", svg))
    return drawn


def _datasets(steps: Sequence[Committed]) -> Table:
    names = metric_names(steps)
    return Table(
        ("dataset", "rows", *map(in_words, names), "failed / crashed", "checkpoint"),
        [
            (
                step.file_name,
                f"{step.rows:,}",
                *(significant((step.next_day or {}).get(name)) for name in names),
                f"{step.attempts} / {step.crashes}",
                Cell(step.checkpoint[:12], "code"),
            )
            for step in steps
        ],
    )

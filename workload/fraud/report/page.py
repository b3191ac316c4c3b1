"""`report.html`: one self-contained page, for a phone and a wide screen, light and dark."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, THRESHOLD
from workload.fraud.report.drift import drift
from workload.fraud.report.figures import figures
from workload.fraud.report.pooling import label_lag, pool_next_day, trailing
from workload.fraud.report.scores import full, no_claim
from workload.fraud.report.tables import datasets_table, scenarios_table, tests_table
from workload.report.document import NEW_REPORT, checksum, document, span
from workload.report.elements import Notice, Tile
from workload.text import NONE, decimals, percent, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workload.fraud.report.pooling import Pooled
    from workload.fraud.report.scores import Step
    from workload.report.record import Record


def page(steps: Sequence[Step], dead: Sequence[Record], *, generated: datetime) -> str:
    """Write the page; see `workload.report.write_report`."""
    pooled = pool_next_day(steps)
    recent = trailing(steps)
    changes = drift(steps)
    notices = [Notice("The model may be stale.", changes.warning)] if changes.warning else []
    if dropped := full(steps):
        notices.append(Notice("The model is full.", dropped))
    return document(
        "fraud.html.jinja",
        [step.committed for step in steps],
        dead,
        generated=generated,
        package="workload.fraud.report",
        warnings=notices,
        kicker="",
        headline=_headline(steps, pooled),
        lead=_lead(steps),
        tiles=_tiles(pooled),
        accuracy_note=_accuracy_note(pooled),
        label_lag=label_lag(steps) or "some days",
        tests=tests_table(steps, pooled, recent),
        figures=figures(steps, pooled, recent, changes),
        scenarios=scenarios_table(pooled, {step.label for step in steps}),
        datasets=datasets_table(steps),
        promise=(
            "The model depends only on the datasets and their order, not on the number of workers "
            "or crashes"
        ),
        commands=_commands(steps),
    )


def _headline(steps: Sequence[Step], pooled: Pooled) -> str:
    if not steps:
        return "No dataset has been learned yet"
    learned = plural(len(steps), "dataset")
    if not pooled.days:
        return f"{learned} learned, nothing yet to test the model on"
    if not pooled.ranks:
        return f"{learned} learned, too few frauds to judge the ranking"
    return (
        f"Average precision {decimals(pooled.average_precision)} one day ahead, "
        f"against {decimals(pooled.base_rate)} by chance"
    )


def _lead(steps: Sequence[Step]) -> str:
    if not steps:
        return "The report fills as datasets are committed."
    committed = [step.committed for step in steps]
    rows = sum(step.rows for step in committed)
    frauds = sum(step.frauds for step in steps)
    share = f" ({percent(frauds / rows)})" if rows else ""
    return (
        f"{plural(len(steps), 'dataset')} learned in order{span(committed)}: "
        f"{plural(rows, 'transaction')}, {plural(frauds, 'fraud')}{share}."
    )


def _tiles(pooled: Pooled) -> list[Tile]:
    if not pooled.days:
        return [Tile("Next-day test", NONE, "needs a second dataset")]
    frail = not pooled.ranks
    doubt = no_claim(pooled.frauds) if frail else None
    return [
        Tile(
            "Average precision",
            decimals(pooled.average_precision),
            doubt
            or f"one day ahead, {plural(pooled.days, 'day')} pooled; "
            f"random: {decimals(pooled.base_rate)}",
            frail,
        ),
        Tile(
            f"Card precision at {CARDS}",
            decimals(pooled.card_precision),
            doubt or f"mean of days; a perfect ranking: {decimals(pooled.card_precision_limit)}",
            frail,
        ),
        Tile("ROC AUC", decimals(pooled.roc_auc), doubt or "random: 0.500", frail),
        Tile(
            "Frauds caught by alarms",
            percent(pooled.recall),
            f"alarms that were right: {percent(pooled.precision)}; threshold {THRESHOLD:g}",
            frail,
        ),
        Tile(
            "Accuracy",
            percent(pooled.accuracy),
            f"always answering “genuine”: {percent(pooled.majority_accuracy)}",
            frail=True,
        ),
    ]


def _accuracy_note(pooled: Pooled) -> str:
    if pooled.accuracy is None or pooled.majority_accuracy is None:
        return (
            "Frauds are so rare that a model which calls every transaction genuine is almost "
            "always right, and catches nothing."
        )
    points = round(100 * (pooled.accuracy - pooled.majority_accuracy), 2) + 0.0  # never -0.00
    return (
        f"A model that calls every transaction genuine catches nothing and is right "
        f"{percent(pooled.majority_accuracy)} of the time; this one is right "
        f"{percent(pooled.accuracy)} of the time, {points:+.2f} percentage points. "
        "What matters is the ranking: whether frauds come first."
    )


def _commands(steps: Sequence[Step]) -> list[str]:
    """Say how to check the newest checkpoint, and what else can be done with it."""
    if not steps:
        return []
    newest = steps[-1].committed
    checkpoint = shlex.quote(f"output/{newest.checkpoint_file}")
    return [
        *checksum(newest),
        "# judge the learner with labels that come late (from 39 days on)",
        "workload evaluate --datasets . --protocol prequential",
        *NEW_REPORT,
        "# fraud probability of each transaction of a day",
        (
            f"workload score --checkpoint {checkpoint} --dataset {shlex.quote(newest.dataset)} "
            "--out scores.csv"
        ),
    ]

"""`report.html`: one self-contained page, for a phone and a wide screen, light and dark."""

from __future__ import annotations

import shlex
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from workload.metrics import CARDS, THRESHOLD
from workload.report.drift import drift
from workload.report.figures import figures
from workload.report.markup import NONE, no_claim, percent, plural, three
from workload.report.parts import dead_letters, left_out, lineage, tile
from workload.report.summary import (
    label_lag,
    pool_next_day,
    read_fold,
    trailing,
)
from workload.report.tables import datasets_table, scenarios_table, tests_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workload.report.drift import Drift
    from workload.report.summary import Fold, Pooled


def page(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    *,
    generated: datetime,
) -> str:
    """Write the page; see `workload.report.write_report`."""
    folds = [read_fold(record) for record in ledger]
    pooled = pool_next_day(folds)
    recent = trailing(folds)
    changes = drift(folds)
    here = files("workload.report")
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(
        style=(here / "style.css").read_text(encoding="utf-8").strip(),
        headline=_headline(folds, pooled),
        lead=_lead(folds),
        warning=left_out(dead) + _stale(changes),
        tiles=_tiles(pooled),
        accuracy_note=_accuracy_note(pooled),
        label_lag=label_lag(folds) or "some days",
        tests=tests_table(folds, pooled, recent),
        plots="\n".join(figures(folds, pooled, recent, changes)),
        scenarios=scenarios_table(pooled, {fold.label for fold in folds}),
        lineage=lineage(folds),
        dead=dead_letters(dead),
        table=datasets_table(folds),
        verify=_verify(folds),
        generated=f"{generated:%Y-%m-%d %H:%M:%S}",
    )


def _headline(folds: Sequence[Fold], pooled: Pooled) -> str:
    if not folds:
        return "No dataset has been learned yet"
    learned = plural(len(folds), "dataset")
    if not pooled.days:
        return f"{learned} learned, nothing yet to test the model on"
    if not pooled.ranks:
        return f"{learned} learned, too few frauds to judge the ranking"
    return (
        f"Average precision {three(pooled.average_precision)} one day ahead, "
        f"against {three(pooled.base_rate)} by chance"
    )


def _lead(folds: Sequence[Fold]) -> str:
    if not folds:
        return "The report fills as datasets are committed."
    rows = sum(fold.rows for fold in folds)
    frauds = sum(fold.frauds for fold in folds)
    dates = [fold.date for fold in folds if fold.date]
    span = f", {min(dates)} to {max(dates)}" if len(dates) > 1 else ""
    share = f" ({percent(frauds / rows)})" if rows else ""
    return (
        f"{plural(len(folds), 'dataset')} learned in order{span}: "
        f"{plural(rows, 'transaction')}, {plural(frauds, 'fraud')}{share}."
    )


def _stale(changes: Drift) -> str:
    if changes.warning is None:
        return ""
    return f'<p class="warning"><strong>The model may be stale.</strong> {changes.warning}</p>'


def _tiles(pooled: Pooled) -> str:
    if not pooled.days:
        return tile("Next-day test", NONE, "needs a second dataset")
    doubt = None if pooled.ranks else no_claim(pooled.frauds)
    perfect = f"mean of days; a perfect ranking: {three(pooled.card_precision_limit)}"
    return "\n".join(
        [
            tile(
                "Average precision",
                three(pooled.average_precision),
                doubt
                or f"one day ahead, {plural(pooled.days, 'day')} pooled; "
                f"random: {three(pooled.base_rate)}",
                frail=not pooled.ranks,
            ),
            tile(
                f"Card precision at {CARDS}",
                three(pooled.card_precision),
                doubt or perfect,
                frail=not pooled.ranks,
            ),
            tile(
                "ROC AUC", three(pooled.roc_auc), doubt or "random: 0.500", frail=not pooled.ranks
            ),
            tile(
                "Frauds caught by alarms",
                percent(pooled.recall),
                f"alarms that were right: {percent(pooled.precision)}; threshold {THRESHOLD:g}",
                frail=not pooled.ranks,
            ),
            tile(
                "Accuracy",
                percent(pooled.accuracy),
                f"always answering &ldquo;genuine&rdquo;: {percent(pooled.majority_accuracy)}",
                frail=True,
            ),
        ]
    )


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


def _verify(folds: Sequence[Fold]) -> str:
    if not folds:
        return '<div class="none"><p>Nothing to check yet.</p></div>'
    newest = folds[-1]
    checkpoint = shlex.quote(f"output/{newest.checkpoint_file}")
    expected = f"{newest.checkpoint}  output/{newest.checkpoint_file}"
    commands = [
        "# in the share's directory; prints OK if the newest checkpoint is the ledger's",
        f"echo {shlex.quote(expected)} | sha256sum -c",
        "# judge the learner with labels that come late (from 39 days on)",
        "workload evaluate --datasets . --protocol prequential",
        "# write this report again from the ledger",
        "workload report --share .",
        "# fraud probability of each transaction of a day",
        (
            f"workload score --checkpoint {checkpoint} --dataset {shlex.quote(newest.dataset)} "
            "--out scores.csv"
        ),
    ]
    return (
        "<p>The model depends only on the datasets and their order, not on the number of workers "
        "or crashes: a second run of the same image over the same files gives the same hash.</p>"
        f"<pre>{escape(chr(10).join(commands))}</pre>"
    )

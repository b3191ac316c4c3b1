"""`report.html`: one self-contained page, for a phone and a wide screen, light and dark."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from workload.fraud.metrics import CARDS, THRESHOLD
from workload.fraud.report.drift import drift
from workload.fraud.report.figures import figures
from workload.fraud.report.summary import (
    label_lag,
    pool_next_day,
    read_fold,
    trailing,
)
from workload.fraud.report.tables import datasets_table, scenarios_table, tests_table
from workload.report.markup import NONE, no_claim, percent, plural, three
from workload.report.parts import (
    NEW_REPORT,
    checksum,
    document,
    filled,
    left_out,
    span,
    tile,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workload.fraud.report.drift import Drift
    from workload.fraud.report.summary import Fold, Pooled


def page(
    ledger: Sequence[Mapping[str, object]],
    dead: Sequence[Mapping[str, object]],
    *,
    generated: datetime,
) -> str:
    """Write the page; see `workload.fraud.report.write_report`."""
    folds = [read_fold(record) for record in ledger]
    pooled = pool_next_day(folds)
    recent = trailing(folds)
    changes = drift(folds)
    sections = filled(
        "page.html",
        accuracy_note=_accuracy_note(pooled),
        label_lag=label_lag(folds) or "some days",
        tests=tests_table(folds, pooled, recent),
        plots="\n".join(figures(folds, pooled, recent, changes)),
        scenarios=scenarios_table(pooled, {fold.label for fold in folds}),
    )
    return document(
        sections,
        folds,
        dead,
        generated=generated,
        kicker="",
        headline=_headline(folds, pooled),
        lead=_lead(folds),
        warning=left_out(dead) + _stale(changes),
        tiles=_tiles(pooled),
        table=datasets_table(folds),
        verify=_verify(folds),
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
    share = f" ({percent(frauds / rows)})" if rows else ""
    return (
        f"{plural(len(folds), 'dataset')} learned in order{span(folds)}: "
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
    commands = [
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
    return verify(
        "The model depends only on the datasets and their order, not on the number of workers or "
        "crashes",
        commands,
    )

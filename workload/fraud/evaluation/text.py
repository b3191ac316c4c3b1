"""An evaluation as lines for a terminal."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from workload.text import NONE, decimals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NAMES = {
    "learner": "this learner",
    "majority": "majority (days alike)",
    "amount": "amount only",
    "logistic_regression": "logistic regression",
    "random_forest": "random forest",
    "gradient_boosting": "gradient boosting",
}
"""How contenders are called."""

WIDTH = 1000
"""Characters that a table may take, whatever the terminal has: no figure is ever cut or wrapped."""

_LEARNED = {"chain": "whole chain", "window": "7 days"}

_COLUMNS = {
    "AP": "average_precision",
    "AUC": "roc_auc",
    "CP@100": "card_precision_100",
    "recall at precision .5": "recall_at_precision_50",
    ".8": "recall_at_precision_80",
    ".9": "recall_at_precision_90",
    "Brier": "brier",
}


def as_text(result: Mapping[str, Any]) -> str:
    """Write the result of `results.evaluate`: means, then folds, scenarios and calibration."""
    days = result["days"]
    lag = f"labels {result['lag_days']} days late"
    chain, baselines = result["chain"], result["baselines"]
    folds = chain["folds"]
    rows: list[list[str]] = []
    for name, each in ({"learner": result} | baselines).items():
        for learned, source in _LEARNED.items():
            rows.append([NAMES[name], source, *_cells(each[learned]["mean"])])
    averaged = "mean of 4 folds" if len(folds) > 1 else "all days pooled, CP@100 the mean of days"
    return "\n".join(
        [
            (
                f"{result['protocol']} protocol, {lag}: {days['number']} days, {days['first']} to "
                f"{days['last']}"
            ),
            "",
            f"{averaged}; brackets: {result['interval']['level']:.0%} bootstrap over cards",
            _table(["", "learned from"], _COLUMNS, rows),
            "",
            f"this learner, whole chain, by test days ({lag})",
            _table(
                ["test days", "trained on"],
                ["frauds", *_COLUMNS],
                [_fold_row(fold) for fold in folds],
            ),
            "",
            f"frauds by scenario, caught by checking 100 cards a day ({lag})",
            _table(["scenario"], ["frauds", "caught", ""], _scenario_rows(folds)),
            "",
            f"calibration: predicted probability and observed share of frauds ({lag})",
            _table([], ["mean probability", "share of frauds", "rows"], _calibration_rows(folds)),
        ]
    )


def _cells(figures: Mapping[str, Any]) -> list[str]:
    return [_figure(figures, key) for key in _COLUMNS.values()]


def _figure(figures: Mapping[str, Any], key: str) -> str:
    value, ends = figures[key], figures["interval"][key]
    digits = 5 if key == "brier" else 3
    if value is None:
        return NONE
    if not ends or key not in _WITH_INTERVAL:
        return decimals(value, digits)
    low, high = (decimals(end, digits) for end in ends)
    return f"{decimals(value, digits)} [{low} {high}]"


_WITH_INTERVAL = ("average_precision", "roc_auc", "card_precision_100")


def _fold_row(fold: Mapping[str, Any]) -> list[str]:
    training = " to ".join(fold["training"]) if fold["training"] else "all labelled by then"
    return [" to ".join(fold["test"]), training, f"{fold['frauds']:,}", *_cells(fold)]


def _scenario_rows(folds: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for kind in sorted({kind for fold in folds for kind in fold["scenarios"]}):
        counts = [fold["scenarios"][kind] for fold in folds if kind in fold["scenarios"]]
        frauds = sum(count["frauds"] for count in counts)
        caught = sum(count["caught"] for count in counts)
        yield [kind, f"{frauds:,}", f"{caught:,}", f"{caught / frauds:.0%}"]


def _calibration_rows(folds: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Merge the groups of all folds by the order of their probabilities."""
    from workload.fraud.evaluation.calibration import EDGES  # noqa: PLC0415 - NumPy

    bounds = [0.0, *EDGES, 1.0]
    groups = [group for fold in folds for group in fold["calibration"]["groups"]]
    for low, high in pairwise(bounds):
        inside = [
            group
            for group in groups
            if low <= group["probability"] < high or high == group["probability"] == 1.0
        ]
        rows = sum(group["rows"] for group in inside)
        if rows:
            predicted = sum(group["rows"] * group["probability"] for group in inside) / rows
            share = sum(group["rows"] * group["share"] for group in inside) / rows
            yield [f"{predicted:.4f}", f"{share:.4f}", f"{rows:,}"]


def _table(names: Iterable[str], figures: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table: columns of names to the left, columns of figures to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in names:
        table.add_column(title, no_wrap=True)
    for title in figures:
        table.add_column(title, no_wrap=True, justify="right")
    for row in rows:
        table.add_row(*row)
    out = StringIO()
    console = Console(
        file=out, width=WIDTH, color_system=None, markup=False, emoji=False, highlight=False
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

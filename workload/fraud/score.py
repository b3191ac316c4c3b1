"""Scores a day's transactions with a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from workload.errors import UsageError
from workload.fraud.metrics import top_cards
from workload.fraud.model import features
from workload.fraud.model.features import FEATURE_LABELS, FEATURES
from workload.fraud.transactions import read_day
from workload.share.durable import write_atomic, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from workload.fraud.trainer import FraudModel
    from workload.fraud.transactions import Day

REASONS = 3
"""Features named for each score."""

ROWS_AT_ONCE = 1 << 17
"""About so many rows are worked on together, all of the same cards: a row's features depend on the
state and on earlier rows of its card, so cards can be scored apart. It bounds the memory beside
what is read and written, and fits the processor's cache better than a large day."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        rows: number of transactions.
        threshold: lowest probability that puts a card among those to check; None if nothing was
            to be marked, or if all cards are to be checked.
    """

    rows: int
    threshold: float | None


def score(
    model: FraudModel,
    dataset: Path,
    out: Path,
    *,
    cards: int | None = None,
    explain: bool = False,
) -> Written:
    """Write TRANSACTION_ID, FRAUD_PROBABILITY and RANK (1: most suspicious).

    Rows come in the order of time, whatever their order in the file; a row's score depends on
    earlier rows of its card that day, on no later one, and on no label.

    Args:
        model: the last day that it learned is before that of `dataset`, however long before.
        dataset: a day file.
        out: ending in .csv or .parquet.
        cards: cards one can check that day; adds CHECK, true for every transaction of those ranked
            highest.
        explain: adds REASON_1 to REASON_3 and LOG_ODDS_1 to LOG_ODDS_3: the features that raise
            the row's log-odds most above the mean of the day's rows, and by how much.

    Raises:
        UsageError: an input can't be used, or `out` has another ending than .csv or .parquet.
        DatasetRefused: the dataset is unreadable or malformed.
    """
    require_format(out)
    if not dataset.is_file():
        raise UsageError(f"{dataset}: no such file")
    day = read_day(dataset, labelled=False)
    if model.state.date is not None and day.date <= model.state.date:
        raise UsageError(
            f"{dataset}: its day {day.date} is not after {model.state.date}, the last the "
            "checkpoint learned; use the checkpoint of an earlier day"
        )
    probability = np.empty(day.rows)
    columns = np.empty((day.rows, FEATURES), np.int16) if explain else None
    state = model.state.advance(day.date)
    for rows in _parts(day):
        part = features.columns(state, _some(day, rows))
        probability[rows] = model.learner.probability(part)
        if columns is not None:
            columns[rows] = part
    table: dict[str, object] = {
        "TRANSACTION_ID": day.transaction,
        "FRAUD_PROBABILITY": probability,
        "RANK": _rank(day, probability),
    }
    threshold = None
    if cards is not None:
        table["CHECK"], threshold = _to_check(day, probability, cards)
    if columns is not None:
        table |= _reasons(model, columns)
    _write(pa.table(table), out)
    return Written(day.rows, threshold)


def require_format(out: Path) -> None:
    """Check the name of the file that scores are to be written to.

    Raises:
        UsageError: it ends neither in .csv nor in .parquet.
    """
    if out.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"{out}: write to a file ending in .csv or .parquet")


def _parts(day: Day) -> Iterator[NDArray[np.intp]]:
    """Yield row numbers, ascending, of so many cards at a time."""
    parts = -(-day.rows // ROWS_AT_ONCE)
    part = day.customer % parts
    for number in range(parts):
        rows = np.flatnonzero(part == number)
        if rows.size:
            yield rows


def _some(day: Day, rows: NDArray[np.intp]) -> Day:
    """Return the day with some of its rows only."""
    arrays = ("transaction", "second", "customer", "terminal", "amount", "scenario")
    return replace(day, **{name: getattr(day, name)[rows] for name in arrays})


def _rank(day: Day, probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank by probability, 1 for the highest; ties by transaction."""
    rank = np.empty(day.rows, np.int64)
    rank[np.lexsort((day.transaction, -probability))] = np.arange(1, day.rows + 1)
    return rank


def _to_check(
    day: Day, probability: NDArray[np.float64], cards: int
) -> tuple[NDArray[np.bool_], float | None]:
    checked = top_cards(probability, day.customer, cards)
    check = np.isin(day.customer, checked)
    if len(checked) < cards or check.all():
        return check, None
    return check, float(probability[day.customer == checked[-1]].max())


def _reasons(model: FraudModel, columns: NDArray[np.int16]) -> dict[str, pa.Array]:
    """Return the columns that `explain` adds."""
    labels = pa.array(FEATURE_LABELS.values())
    parts = range(0, len(columns), ROWS_AT_ONCE)
    mean = sum(
        model.learner.terms(columns[begin : begin + ROWS_AT_ONCE]).sum(axis=0) for begin in parts
    ) / len(columns)
    feature = np.empty((REASONS, len(columns)), np.int32)
    term = np.empty((REASONS, len(columns)))
    for begin in parts:
        part = slice(begin, begin + ROWS_AT_ONCE)
        terms = model.learner.terms(columns[part]) - mean
        highest = np.argsort(-terms, axis=1, kind="stable")[:, :REASONS]
        feature[:, part] = highest.T
        term[:, part] = np.take_along_axis(terms, highest, axis=1).T
    return {
        name: values
        for number in range(REASONS)
        for name, values in (
            (f"REASON_{number + 1}", labels.take(pa.array(feature[number]))),
            (f"LOG_ODDS_{number + 1}", pa.array(term[number])),
        )
    }


def _write(table: pa.Table, out: Path) -> None:
    write = pyarrow.csv.write_csv if out.suffix == ".csv" else pyarrow.parquet.write_table
    buffer = pa.BufferOutputStream()
    write(table, buffer)
    with writing(out):
        write_atomic(out, buffer.getvalue().to_pybytes())

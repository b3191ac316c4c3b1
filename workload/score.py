"""Scores a day's transactions with a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from workload.chain import Model
from workload.datasets import read_day
from workload.errors import UsageError
from workload.share import write_atomic, writing

if TYPE_CHECKING:
    from pathlib import Path


def score(checkpoint: Path, dataset: Path, out: Path) -> int:
    """Writes TRANSACTION_ID, FRAUD_PROBABILITY and RANK (1: most suspicious); returns the rows.

    Raises:
        UsageError: an input can't be used, or ``out`` has another ending than .csv or .parquet.
        DatasetRefused: the dataset is unreadable or malformed.
    """
    if out.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"{out}: write to a file ending in .csv or .parquet")
    for path in (checkpoint, dataset):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
    try:
        model = Model.from_bytes(checkpoint.read_bytes(), str(checkpoint))
    except ValueError as error:
        raise UsageError(str(error)) from error
    day = read_day(dataset, labelled=False)
    if day.date.isoformat() <= model.record["date"]:
        raise UsageError(
            f"{dataset}: its day {day.date} is not after {model.record['date']}, the last the "
            "checkpoint learned; use the checkpoint of an earlier day"
        )
    probability = model.score(day)
    rank = np.empty(day.rows, np.int64)
    rank[np.lexsort((day.transaction, -probability))] = np.arange(1, day.rows + 1)
    table = pa.table(
        {"TRANSACTION_ID": day.transaction, "FRAUD_PROBABILITY": probability, "RANK": rank}
    )
    write = pyarrow.csv.write_csv if out.suffix == ".csv" else pyarrow.parquet.write_table
    buffer = pa.BufferOutputStream()
    write(table, buffer)
    with writing(out):
        write_atomic(out, buffer.getvalue().to_pybytes())
    return day.rows

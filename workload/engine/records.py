"""What a record of the chain must be, wherever it comes from: a checkpoint, the ledger, Redis."""

from __future__ import annotations

import datetime as dt
import math
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from workload.errors import DatasetRefused, WorkloadError
from workload.share.dataset_file import dataset_stem
from workload.text import printable
from workload.trainers.identity import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "model_cpt_"
"""How the published names of checkpoints begin."""

_LONGEST_NAME = 1000
_CACHED = 1 << 14  # names: a ledger's lines are checked each time that it is written
_RECORD = {"order", "dataset", "date", "sha256", "base", "checkpoint_file", *FIELDS}
_HASH = re.compile(r"[0-9a-f]{64}")


@lru_cache(_CACHED)
def checkpoint_name(dataset: str) -> str:
    """Return the published name for a dataset: `model_cpt_2018-04-01.pkl`."""
    try:
        stem = dataset_stem(dataset)
    except DatasetRefused:  # of a record that no worker has written
        stem = PurePosixPath(dataset).stem
    return f"{PREFIX}{stem}.pkl"


def ledger_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's record as the ledger holds it: values of JSON.

    NumPy's numbers are Python's, and one that is not finite, for which JSON has nothing, is None.

    Raises:
        ValueError: bytes or an array are in it; the message says where.
    """
    return {key: _json_value(value, key) for key, value in record.items()}


def _json_value(value: object, where: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {key: _json_value(each, f"{where}.{key}") for key, each in value.items()}
        case list():
            return [_json_value(each, f"{where}.{number}") for number, each in enumerate(value)]
        case _:
            raise ValueError(
                f"{printable(where)[:300]}: the ledger can't hold {type(value).__name__}; allowed "
                "among metrics and facts are numbers, texts, None, and lists and dicts of them"
            )


def check_record(record: Mapping[str, Any]) -> None:
    """Check the fields of a record that this program relies on.

    Raises:
        ValueError: one is missing, or is not what the chain writes.
    """
    if missing := sorted(_RECORD - record.keys()):
        raise ValueError(f"its ledger record lacks {', '.join(missing)}")
    for field, fits in _FITS.items():
        if field in record and not fits(record[field]):
            shown = repr(record[field])[:100] if isinstance(record[field], str) else "another type"
            raise ValueError(f"the {field} in its record is {shown}")
    name = checkpoint_name(record["dataset"])
    if record["checkpoint_file"] != name:
        raise ValueError(f"the checkpoint_file in its record is not {name}")


def check_commit(record: Mapping[str, Any]) -> None:
    """Check a record of the ledger or of Redis, which names its checkpoint, too.

    Raises:
        ValueError: as `check_record`.
    """
    if not isinstance(record, dict) or "checkpoint" not in record:
        raise ValueError("its ledger record lacks checkpoint")
    check_record(record)


def check_chain(
    records: Iterable[Mapping[str, Any]], after: Mapping[str, Any] | None = None
) -> None:
    """Check records that follow each other in the chain.

    Args:
        records: of the ledger or of Redis.
        after: the record that the first continues; None for the start of the chain.

    Raises:
        ValueError: as `check_commit`, or one does not continue the one before.
    """
    for record in records:
        check_commit(record)
        order, base = (after["order"], after["checkpoint"]) if after else (0, None)
        if (record["order"], record["base"]) != (order + 1, base):
            raise ValueError(f"the record of {record['dataset']} does not continue the chain")
        after = record


def _is_dataset(value: object) -> bool:
    return type(value) is str and len(value) <= _LONGEST_NAME and _is_dataset_name(value)


@lru_cache(_CACHED)
def _is_dataset_name(name: str) -> bool:
    if "\0" in name or name.startswith("/") or ".." in name.split("/"):
        return False
    try:
        return bool(dataset_stem(name))
    except WorkloadError:
        return False


def _is_date(value: object) -> bool:
    try:
        return type(value) is str and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def is_hash(value: object) -> bool:
    """Return whether a value is a SHA-256 in hex, as the chain writes it."""
    return type(value) is str and _HASH.fullmatch(value) is not None


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(
        type(each) is str for pair in value.items() for each in pair
    )


_FITS: dict[str, Callable[[object], bool]] = {
    "order": lambda value: type(value) is int and 0 < value <= 1 << 53,
    "rows": lambda value: type(value) is int and 0 <= value <= 1 << 53,
    "dataset": _is_dataset,
    "date": _is_date,
    "sha256": is_hash,
    "base": lambda value: value is None or is_hash(value),
    "checkpoint": is_hash,
    "checkpoint_file": lambda value: type(value) is str,
    "trainer": lambda value: type(value) is str,
    "headline": lambda value: isinstance(value, list) and all(type(i) is str for i in value),
    "options": _is_text_map,
    "metrics": lambda value: isinstance(value, dict),
}
"""What the fields of a record must be."""

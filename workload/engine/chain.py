"""One step of the warm-start chain: train on a day the model that the previous day left.

`train` is a pure function: the same base, day and test set give the same checkpoint bytes on
every worker, as far as the trainer keeps its promises (`workload.trainers.protocol`) and the
arithmetic is the same (`workload.engine.numeric` pins it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from workload.engine import canonical, memory, numeric
from workload.engine.checkpoints import FORMAT, load, read_plain
from workload.engine.records import checkpoint_name
from workload.errors import DatasetRefused, UsageError
from workload.share.dataset_file import read_file
from workload.share.durable import sha256
from workload.text import excerpt
from workload.trainers.identity import identity, require_identity, trainer_of
from workload.trainers.protocol import D, M

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from workload.trainers.protocol import Metrics, Trainer


@dataclass(frozen=True, slots=True)
class Dataset(Generic[D]):
    """A dataset that is prepared.

    Attributes:
        name: the queue item.
        sha256: of the file.
        data: what the trainer made of it.
    """

    name: str
    sha256: str
    data: D


@dataclass(frozen=True, slots=True)
class ChainState(Generic[M]):
    """The model after some days, with the record that proves it.

    Attributes:
        model: the trainer's.
        record: the ledger record inside the checkpoint; empty before the first day.
        checkpoint: hash of the checkpoint's bytes; None before the first day.
    """

    model: M
    record: Mapping[str, Any]
    checkpoint: str | None

    @classmethod
    def start(cls, trainer: Trainer[Any, M]) -> ChainState[M]:
        """Return the start of every chain."""
        return cls(trainer.start(), {}, None)

    @classmethod
    def from_bytes(
        cls, trainer: Trainer[Any, M], content: bytes, what: str = "checkpoint"
    ) -> ChainState[M]:
        """Restore a state; training continues bit for bit as if it had never been saved.

        Raises:
            ValueError: `content` is not a checkpoint, or is of another version of the trainer;
                the message starts with `what`.
            UsageError: it is another trainer's; likewise.
        """
        tree = load(content, what)
        record = tree["record"]
        if trainer_of(record) != trainer.name:
            raise UsageError(
                f"{what}: a checkpoint of the trainer {trainer_of(record)!r}, which the trainer "
                f"{trainer.name!r} can't use"
            )
        try:
            model = trainer.load(tree)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
        except (LookupError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {excerpt(error)}"
            raise ValueError(f"{what}: the trainer can't load it ({reason})") from error
        return cls(model, record, sha256(content))

    @classmethod
    def from_file(cls, trainer: Trainer[Any, M], path: Path) -> ChainState[M]:
        """Restore a state from a checkpoint file.

        Raises:
            UsageError: the file can't be used; one line that starts with its path.
        """
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        try:
            content = read_plain(path, links=True)
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from error
        try:
            return cls.from_bytes(trainer, content, str(path))
        except ValueError as error:
            raise UsageError(str(error)) from error


def read(
    trainer: Trainer[D, Any], path: Path, name: str | None = None, date: dt.date | None = None
) -> Dataset[D]:
    """Read a file and have the trainer prepare it.

    Args:
        trainer: decodes and checks the file.
        path: of the file.
        name: of the dataset; None for the file's.
        date: the day that the file's name promises, if any.

    Raises:
        DatasetRefused: the file can't be used; the message does not repeat its path.
        DatasetTooLarge: it needs more memory than this process may have.
        OSError: the file cannot be read.
    """
    bytes_per_row = getattr(trainer, "bytes_per_row", 0)
    rows = trainer.rows_at_least(path) if hasattr(trainer, "rows_at_least") else 0
    memory.require(path.name, max(path.stat().st_size, rows * bytes_per_row))
    file = read_file(path, date)
    try:
        data = trainer.prepare(file)
    except DatasetRefused as error:
        raise DatasetRefused(" ".join(str(error).splitlines())) from error
    if date is not None and data.date != date:
        raise DatasetRefused(f"the rows are of {data.date}, the name promises {date}")
    memory.require(path.name, data.rows * bytes_per_row)
    return Dataset(name or path.name, file.sha256, data)


def train(
    trainer: Trainer[D, M],
    base: ChainState[M],
    dataset: Dataset[D],
    *,
    testing: Dataset[D] | None = None,
    untested: str = "there is no testing dataset",
) -> tuple[ChainState[M], bytes]:
    """Train on one day after `base`.

    Args:
        trainer: which learns it.
        base: the chain so far.
        dataset: the day.
        testing: a day to test the new model on.
        untested: why there is none, kept in the record.

    Returns:
        The new state and its checkpoint's bytes.

    Raises:
        DatasetRefused: the day is not after the last day of `base`.
        UsageError: `base` is another trainer's, or has other options.
    """
    require_identity(trainer, base.record)
    data = dataset.data
    if base.record and data.date.isoformat() <= base.record["date"]:
        raise DatasetRefused(
            f"its date {data.date} is not after {base.record['date']}, the last day learned "
            f"({base.record['dataset']}); `workload queue rebuild` replays the chain in date order"
        )
    trained = trainer.train(base.model, data)
    next_day = trained.next_day if base.checkpoint else None
    if base.checkpoint and next_day is None:
        next_day = trainer.evaluate(base.model, data)
    tested, note = _test(trainer, trained.model, data, testing) if testing else (None, untested)
    named = _joined(
        {
            "order": base.record.get("order", 0) + 1,
            "dataset": dataset.name,
            "date": data.date.isoformat(),
            "sha256": dataset.sha256,
            "rows": data.rows,
            "base": base.checkpoint,
            "checkpoint_file": checkpoint_name(dataset.name),
            **_testing_identity(base, testing),
            "metrics": {
                "training": _without_histogram(trained.metrics),
                "next_day": None if next_day is None else dict(next_day),
                "testing": _without_histogram(tested),
                "testing_note": note,
            },
        },
        identity(trainer),
    )
    record = _joined(named, trained.facts)
    content = canonical.encode(
        _joined(
            {"format": FORMAT, "record": record, "numeric": numeric.described()},
            trainer.save(trained.model),
        )
    )
    return ChainState(trained.model, record, sha256(content)), content


def _joined(ours: dict[str, Any], theirs: Mapping[str, object]) -> dict[str, Any]:
    """Return both as one; raise ValueError when the trainer uses a name of the chain's."""
    if taken := sorted(ours.keys() & theirs.keys()):
        raise ValueError(f"the trainer uses {', '.join(taken)}, which the chain itself records")
    return {**ours, **theirs}


def _testing_identity(base: ChainState[M], testing: Dataset[D] | None) -> dict[str, str | None]:
    """Return what the chain is tested on: settled by its first day, kept by all others."""
    if base.record:
        return {key: base.record[key] for key in ("testing_dataset", "testing_sha256")}
    return {
        "testing_dataset": testing.name if testing else None,
        "testing_sha256": testing.sha256 if testing else None,
    }


def _without_histogram(metrics: Metrics | None) -> dict[str, object] | None:
    """Return metrics without their histogram; only the next-day tests are pooled over days."""
    if metrics is None:
        return None
    return {key: value for key, value in metrics.items() if key != "histogram"}


def _test(
    trainer: Trainer[D, M], model: M, data: D, testing: Dataset[D]
) -> tuple[Metrics | None, str | None]:
    date = testing.data.date
    if date <= data.date:
        return None, f"the testing day {date} is not after the training day"
    return trainer.evaluate(model, testing.data), None

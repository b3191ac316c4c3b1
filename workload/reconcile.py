"""Brings a Redis that lost something and the share together.

The share's ledger and checkpoints prove commits that Redis may have forgotten; Redis holds commits
whose publication a crash cut short. Both are chains of hashes, so one must continue the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.checkpoints import CheckpointStore, checkpoint_name
from workload.datasets import SUFFIXES, name_date, read_day
from workload.errors import DatasetRefused, UsageError
from workload.ledger import NAME, commit_of, ledger_line, read_ledger, write_ledger
from workload.queue import Commit, DeadLetter
from workload.share import TRAINING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

    from workload.queue import Queue
    from workload.share import Share

_REBUILD = "run `workload queue rebuild`, which replays what the files do not prove"


def reconcile(queue: Queue, share: Share) -> int:
    """Extends Redis's chain by the commits that only the ledger knows; returns their number.

    Raises:
        UsageError: the two chains contradict each other, or checkpoints lie on the share that
            neither knows.
    """
    lines = read_ledger(share.output / NAME)
    ledger = [line["checkpoint"] for line in lines]
    chain = [commit.record["checkpoint"] for commit in queue.commits()]
    if not ledger and not chain:
        stray = next(share.output.glob("model_cpt_*.pkl"), None)
        if stray:
            raise UsageError(
                f"{stray}: neither Redis nor the ledger knows this checkpoint; {_REBUILD}"
            )
        return 0
    common = min(len(ledger), len(chain))
    if ledger[:common] != chain[:common]:
        raise UsageError(
            f"{share.output / NAME}: its chain and the one in Redis differ; {_REBUILD}"
        )
    missing = [commit_of(line) for line in lines[common:]]
    if missing:
        last = missing[-1].record
        CheckpointStore(share).read(last["checkpoint"], last["dataset"])
        head = chain[-1] if chain else None
        if not queue.restore(missing, extends=head):
            return reconcile(queue, share)  # another worker did it, or went on
    return len(missing)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: datasets kept as learned, to be learned again, and refused."""

    kept: list[str]
    waiting: list[str]
    refused: list[DeadLetter]


def rebuild(
    queue: Queue, share: Share, label: str, on_file: Callable[[str], None] = lambda _: None
) -> Rebuilt:
    """Restores the queue from the files: keeps the chain they prove, requeues the rest.

    Datasets are taken in date order. A learned dataset is kept when its checkpoint continues the
    chain kept so far and its file still has the hash that was learned. The names of checkpoints
    after the kept chain are withdrawn, so that nothing takes them for committed.

    Args:
        queue: replaced as a whole; workers at work lose their leases.
        share: with datasets and checkpoints.
        label: label column.
        on_file: called with each dataset before it is looked at.

    Raises:
        UsageError: there is no dataset on the share.
    """
    datasets, refused = _dated(share)
    if not datasets and not refused:
        allowed = ", ".join(SUFFIXES)
        raise UsageError(
            f"{share.root / TRAINING}: no datasets; allowed are YYYY-MM-DD with {allowed}"
        )
    checkpoints = {
        path.name: (digest, tree) for path, digest, tree in CheckpointStore(share).published()
    }
    ledger = {line["checkpoint"]: commit_of(line) for line in _ledger_if_any(share)}
    kept: list[Commit] = []
    waiting: list[str] = []
    head: str | None = None
    for dataset in datasets:
        on_file(dataset)
        digest, tree = checkpoints.get(checkpoint_name(dataset), (None, None))
        try:
            day = read_day(share.dataset_path(dataset), label=label, date=name_date(dataset))
        except DatasetRefused as error:
            refused.append(DeadLetter(dataset, "refused", str(error)))
            continue
        if waiting or digest is None or tree is None:
            waiting.append(dataset)
            continue
        record = tree["record"]
        if (
            record["base"] == head
            and record["dataset"] == dataset
            and record["sha256"] == day.sha256
        ):
            kept.append(ledger.get(digest) or _commit_from_file(record, digest, share.output))
            head = digest
        else:
            waiting.append(dataset)
    kept_names = {commit.record["checkpoint_file"] for commit in kept}
    for name in checkpoints.keys() - kept_names:
        (share.output / name).unlink(missing_ok=True)
    queue.restore(kept, replace=True, waiting=waiting, dead=refused)
    write_ledger(share, [ledger_line(commit) for commit in kept])
    return Rebuilt([commit.record["dataset"] for commit in kept], waiting, refused)


def training_datasets(root: Path) -> list[str]:
    """The queue items for the files in ``datasets/training``, by name, without hidden files."""
    folder = root / TRAINING
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [
        f"{TRAINING}/{name}"
        for name in sorted(names)
        if name.endswith(SUFFIXES) and not name.startswith(".")
    ]


def _dated(share: Share) -> tuple[list[str], list[DeadLetter]]:
    """The datasets in date order, and those that have no place on the time line."""
    dates: dict[dt.date, str] = {}
    refused = []
    for dataset in training_datasets(share.root):
        try:
            date = name_date(dataset)
        except DatasetRefused as error:
            refused.append(DeadLetter(dataset, "refused", str(error)))
            continue
        if date in dates:
            reason = f"{dates[date]} is of the same day"
            refused.append(DeadLetter(dataset, "refused", reason))
        else:
            dates[date] = dataset
    return [dates[date] for date in sorted(dates)], refused


def _ledger_if_any(share: Share) -> list[dict[str, Any]]:
    try:
        return read_ledger(share.output / NAME)
    except UsageError:
        return []


def _commit_from_file(record: dict[str, Any], digest: str, output: Path) -> Commit:
    """A commit whose ledger line is lost: what the queue knew about it is gone with it."""
    written = (output / record["checkpoint_file"]).stat().st_mtime
    known = {**record, "checkpoint": digest, "worker": None, "seconds": {}, "started": written}
    return Commit(known, attempts=0, crashes=0, committed=written)

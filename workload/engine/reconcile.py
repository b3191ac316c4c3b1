"""Brings a Redis that lost something and the share together.

The share's ledger and checkpoints prove commits that Redis may have forgotten; Redis holds commits
whose publication a crash cut short. Both are chains of hashes, so one must continue the other.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.engine.chain import read
from workload.engine.checkpoints import CheckpointStore
from workload.engine.ledger import (
    LEDGER_FILE,
    Projector,
    commit_of,
    committed,
    ledger_hash,
    read_ledger,
    sound_lines,
)
from workload.errors import ChainForgotten, DatasetRefused, DatasetTooLarge, UsageError
from workload.queue import Commit, DeadLetter
from workload.share.dataset_file import ALLOWED, name_date
from workload.share.durable import sha256
from workload.share.listing import training_datasets
from workload.share.store import TRAINING
from workload.trainers.identity import require_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from workload.queue import Queue, Status
    from workload.share.store import Share
    from workload.trainers.protocol import Trainer

_REBUILD = "run `workload queue rebuild`, which replays what the files do not prove"


def reconcile(queue: Queue, share: Share) -> int:
    """Give Redis's chain the commits that only the ledger knows; return how many were given.

    Where keys are gone from Redis, all commits are given again, from the longer of the chains.

    Raises:
        UsageError: the two chains contradict each other, or checkpoints lie on the share that
            neither knows.
    """
    _finish_rebuild(queue, share)
    lines = read_ledger(share.output / LEDGER_FILE)
    ledger = [line["checkpoint"] for line in lines]
    commits, status = committed(queue), queue.status()
    chain = [commit.record["checkpoint"] for commit in commits]
    if not _ends_at_head(queue, chain, status):
        return reconcile(queue, share)  # others went on meanwhile
    if not ledger and not chain and not status.torn:
        stray = next(share.output.glob("model_cpt_*.pkl"), None)
        if stray is None:
            return 0
        if queue.commits(-1):  # another worker has made and published the first one meanwhile
            return reconcile(queue, share)
        raise UsageError(f"{stray}: neither Redis nor the ledger knows this checkpoint; {_REBUILD}")
    common = min(len(ledger), len(chain))
    if ledger[:common] != chain[:common]:
        raise UsageError(
            f"{share.output / LEDGER_FILE}: its chain and the one in Redis differ; {_REBUILD}"
        )
    missing = [commit_of(line) for line in lines[common:]]
    if missing:
        last = missing[-1].record
        CheckpointStore(share).read(last["checkpoint"], last["dataset"])
    if status.torn:
        given = commits + missing
        restored = queue.mend(given, status.head.checkpoint, len(commits))
    elif missing:
        given = missing
        restored = queue.extend(given, chain[-1] if chain else None)
    else:
        return 0
    return len(given) if restored else reconcile(queue, share)  # another did it, or went on


def _finish_rebuild(queue: Queue, share: Share) -> None:
    """Write the ledger of a rebuild that was cut short."""
    if (void := queue.void_ledger()) is not None:
        if void == ledger_hash(share):
            Projector(share, queue).project()
        queue.set_void_ledger(None)


def _ends_at_head(queue: Queue, chain: Sequence[str], status: Status) -> bool:
    """Return whether a chain ends at the head; False when both must be looked at again.

    Raises:
        UsageError: Redis names a head that is not its last commit.
    """
    head = status.head.checkpoint
    if status.torn or head == (chain[-1] if chain else None):
        return True
    end = [commit.record["checkpoint"] for commit in committed(queue, -1)]
    if end != [head] and queue.status().head == status.head:
        raise UsageError(
            f"{status.head.dataset}: Redis names it as the head of the chain, and it is not the "
            f"last commit; {_REBUILD}"
        )
    return False


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: datasets kept as learned, to be learned again, and refused."""

    kept: list[str]
    waiting: list[str]
    refused: list[DeadLetter]


def rebuild(
    queue: Queue,
    share: Share,
    trainer: Trainer[Any, Any],
    on_file: Callable[[str], None] = lambda _: None,
) -> Rebuilt:
    """Restore the queue from the files: keep the chain they prove, requeue the rest.

    Datasets are taken in date order: those in `datasets/training`, and those from elsewhere that
    are learned or unfinished. A learned dataset is kept when its checkpoint is proven (`_proven`),
    continues the chain kept so far and its file still has the hash that was learned. A published
    name that is lost or has other bytes is given again from `.checkpoints`. The names of other
    checkpoints are withdrawn, so that nothing takes them for committed.

    Args:
        queue: replaced as a whole; workers at work lose their leases.
        share: with datasets and checkpoints.
        trainer: what learns; days learned with other options are learned again.
        on_file: called with each dataset before it is looked at.

    Raises:
        UsageError: there is no dataset on the share, or its chain is another trainer's.
    """
    store = CheckpointStore(share)
    published = dict(store.published())
    ledger = {line["dataset"]: commit_of(line) for line in sound_lines(share)}
    records = _proven(store, ledger, published.values())
    for learned in records.values():
        require_name(trainer.name, learned)
    names = {*training_datasets(share.root), *queue.unfinished()}
    names |= {dataset for dataset in records if (share.root / dataset).is_file()}
    datasets, refused = _dated(names, learned=set(records))
    if not names:
        raise UsageError(
            f"{share.root / TRAINING}: no datasets; allowed are YYYY-MM-DD with {ALLOWED}"
        )
    kept: list[Commit] = []
    waiting: list[str] = []
    for dataset in datasets:
        on_file(dataset)
        record = records.get(dataset)
        try:
            path = share.dataset_path(dataset)
            if record and not waiting and _continues(kept, record, path, trainer.options):
                kept.append(ledger.get(dataset) or _commit_of(record, share.output))
                continue
            read(trainer, path, date=name_date(dataset))
        except DatasetRefused as error:
            refused.append(DeadLetter(dataset, "refused", str(error)))
        except (FileNotFoundError, DatasetTooLarge):
            waiting.append(dataset)  # a worker, which may have more memory, waits or says so
        else:
            waiting.append(dataset)
    queue.replace(kept, waiting, refused, ledger=ledger_hash(share))
    _publish_only(store, [commit.record for commit in kept], published)
    _replace_ledger(queue, share)
    return Rebuilt([commit.record["dataset"] for commit in kept], waiting, refused)


def _replace_ledger(queue: Queue, share: Share) -> None:
    """Write the ledger of a queue that was replaced."""
    while True:
        queue.set_void_ledger(ledger_hash(share))
        with suppress(ChainForgotten):  # a worker has written the old chain once more
            Projector(share, queue).project()
            break
    queue.set_void_ledger(None)


def _publish_only(
    store: CheckpointStore, records: Sequence[Mapping[str, Any]], published: Iterable[Path]
) -> None:
    """Give the checkpoints of a chain their published names, and withdraw all others."""
    names = {record["checkpoint_file"] for record in records}
    for path in published:
        if path.name not in names:
            path.unlink(missing_ok=True)
    for record in records:
        store.publish(record)


def _proven(
    store: CheckpointStore,
    ledger: Mapping[str, Commit],
    published: Collection[Mapping[str, Any]],
) -> dict[str, Mapping[str, Any]]:
    """Return the records, by dataset, whose checkpoints have the bytes that they must have.

    The ledger says which those are. Where it has no line, a published checkpoint is believed whose
    bytes lie in `.checkpoints` under their hash, or that another one was learned from.
    """
    bases = {record["base"] for record in published if record}
    records = {
        record["dataset"]: record
        for record in published
        if record
        and record["dataset"] not in ledger
        and (record["checkpoint"] in bases or store.keeps(record["checkpoint"]))
    }
    for dataset, commit in ledger.items():
        if store.find(commit.record["checkpoint"], dataset) is not None:
            records[dataset] = commit.record
    return records


def _continues(
    kept: Sequence[Commit], record: Mapping[str, Any], path: Path, options: Mapping[str, str]
) -> bool:
    """Return whether a checkpoint's record continues the chain so far, on the file as it is."""
    head = kept[-1].record["checkpoint"] if kept else None
    if (record["order"], record["base"]) != (len(kept) + 1, head) or record["options"] != options:
        return False
    return bool(record["sha256"] == sha256(path))


def any_record(share: Share) -> dict[str, Any]:
    """Return the record of a checkpoint on the share; empty when there is none."""
    if lines := sound_lines(share):
        return lines[0]
    published = CheckpointStore(share).published()
    return next((record for _, record in published if record), {})


def _dated(names: set[str], learned: set[str]) -> tuple[list[str], list[DeadLetter]]:
    """Return datasets by date, and those without a place on the time line; learned ones first."""
    dates: dict[dt.date, str] = {}
    refused = []
    for dataset in sorted(names, key=lambda name: (name not in learned, name)):
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


def _commit_of(record: Mapping[str, Any], output: Path) -> Commit:
    """Return a commit whose ledger line is lost: what the queue knew about it is gone with it."""
    written = (output / record["checkpoint_file"]).stat().st_mtime
    known = {**record, "worker": None, "seconds": {}, "started": written}
    return Commit(known, attempts=0, crashes=0, committed=written)

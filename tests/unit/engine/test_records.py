"""Records are checked wherever they enter, and nothing is read or written through a link."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from workload.engine.canonical import encode
from workload.engine.checkpoints import FORMAT, CheckpointStore, load, read_plain
from workload.engine.ledger import LEDGER_FILE, Projector, read_ledger, sound_lines
from workload.engine.reconcile import reconcile
from workload.engine.recovery import Recovery
from workload.engine.reporting import refresh_report, rewrite_report
from workload.errors import ChainForgotten, UsageError
from workload.queue import Commit, DeadLetter, Queue
from workload.queue.keys import COMMITS, STATE
from workload.share.store import Share
from workload.share.stream import list_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = [
    "",
    "x",
    "../x",
    "../../x.pkl",
    "/x.pkl",
    "a/model_cpt_2018-04-02.pkl",
    ".x.pkl",
    "Makefile",
]
NAMES += ["model_cpt_2018-04-01.pkl", "model_cpt_/../../x.pkl", ".checkpoints/x.pkl", "..", "\0"]
DIGESTS = ["", "x", "../x", "0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n", None, 1]


class Base:
    """A chain state, as far as recovery looks at it."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.checkpoint = record.get("checkpoint")


def chain(share: Share, days: int = 3) -> list[dict[str, Any]]:
    """Return the records of a chain whose checkpoints are written."""
    records: list[dict[str, Any]] = []
    for day in range(1, days + 1):
        record: dict[str, Any] = {
            "order": day,
            "dataset": f"datasets/training/2018-04-0{day}.pkl",
            "date": f"2018-04-0{day}",
            "sha256": "0" * 64,
            "base": records[-1]["checkpoint"] if records else None,
            "checkpoint_file": f"model_cpt_2018-04-0{day}.pkl",
            "trainer": "any",
            "headline": [],
            "options": {},
        }
        content = encode({"format": FORMAT, "record": record})
        records.append({**record, "checkpoint": CheckpointStore(share).write(content)})
    return records


@pytest.fixture
def share(tmp_path: Path) -> Share:
    made = Share(tmp_path / "share", visibility_seconds=0.0)
    made.root.mkdir()
    made.probe_writable()
    return made


@pytest.fixture
def records(share: Share) -> list[dict[str, Any]]:
    return chain(share)


def committed(queue: Queue, records: list[dict[str, Any]]) -> None:
    """Let Redis hold records, whatever they are."""
    commits = [Commit(record, 0, 0, 1.5) for record in records]
    queue.replace(commits)
    queue.set_void_ledger(None)


def write_ledger(share: Share, records: list[dict[str, Any]]) -> Path:
    path = share.output / LEDGER_FILE
    more = {"attempts": 0, "crashes": 0, "committed": 1.5}
    path.write_text("".join(json.dumps({**each, **more}) + "\n" for each in records))
    return path


def everything(root: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name
    }


def refused_everywhere(
    share: Share, queue: Queue, records: list[dict[str, Any]], what: str
) -> None:
    """Check that no way in takes these records, and that nothing is written for them."""
    before = everything(share.root.parent)
    with pytest.raises(UsageError, match=what):
        CheckpointStore(share).publish(records[-1])
    committed(queue, records)
    for enter in (lambda: Projector(share, queue).project(), lambda: reconcile(queue, share)):
        with pytest.raises(UsageError, match="`workload queue rebuild`") as caught:
            enter()
        assert len(str(caught.value).splitlines()) == 1
    assert everything(share.root.parent) == before
    path = write_ledger(share, records)
    with pytest.raises(UsageError, match=what):
        read_ledger(path)
    assert len(sound_lines(share)) == len(records) - 1


@pytest.mark.parametrize("name", NAMES)
def test_file_of_a_checkpoint_is_the_one_that_the_dataset_gives(
    share: Share, queue: Queue, records: list[dict[str, Any]], name: str
) -> None:
    records[1]["checkpoint_file"] = name
    refused_everywhere(share, queue, records[:2], "the checkpoint_file in its record is not")
    del records[1]["checkpoint"]
    with pytest.raises(ValueError, match="the checkpoint_file in its record is not"):
        load(encode({"format": FORMAT, "record": records[1]}), "file")


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("field", ["checkpoint", "sha256"])
def test_digests_are_64_hex_digits(
    share: Share, queue: Queue, records: list[dict[str, Any]], field: str, digest: object
) -> None:
    records[1][field] = digest
    with pytest.raises(UsageError, match=f"the {field} in its record is"):
        CheckpointStore(share).publish(records[1])
    path = write_ledger(share, records[:2])
    with pytest.raises(UsageError, match=f"the {field} in its record is"):
        read_ledger(path)
    path.unlink()
    queue.client.rpush(COMMITS, *(Commit(each, 0, 0, 1.5).envelope() for each in records[:2]))
    with pytest.raises(UsageError, match=f"the {field} in its record is"):
        Projector(share, queue).project()


@pytest.mark.parametrize("digest", [each for each in DIGESTS if isinstance(each, str)])
def test_no_file_is_looked_for_under_a_head_that_is_no_hash(share: Share, digest: str) -> None:
    with pytest.raises(UsageError, match="no hash of a checkpoint"):
        CheckpointStore(share).read(digest, "datasets/training/2018-04-01.pkl")


@pytest.mark.parametrize(("field", "value"), [("order", 3), ("base", None), ("base", "1" * 64)])
def test_record_that_does_not_continue_the_chain_enters_nowhere(
    share: Share, queue: Queue, records: list[dict[str, Any]], field: str, value: object
) -> None:
    records[1][field] = value
    before = everything(share.root)
    committed(queue, records)
    with pytest.raises(UsageError, match=r"2018-04-02\.pkl does not continue the chain"):
        Projector(share, queue).project()
    assert everything(share.root) == before
    with pytest.raises(UsageError, match=r"2018-04-02\.pkl does not continue the chain"):
        read_ledger(write_ledger(share, records))


def test_forged_head_is_one_line_and_nothing_is_learned_on_it(
    share: Share, queue: Queue, records: list[dict[str, Any]]
) -> None:
    committed(queue, records)
    Projector(share, queue).project()
    for forged in (records[0], {**records[2], "checkpoint": "1" * 64}):
        fields = ("checkpoint", "dataset", "date")
        values = [forged[field] for field in fields]
        head = queue.status().head
        assert (head.checkpoint, head.dataset, head.date) != tuple(values)
        _set_head(queue, values)
        with pytest.raises(ChainForgotten):
            Recovery(queue, share, due=False).require_head(Base(forged))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="head of the chain, and it is not the last commit"):
            reconcile(queue, share)
        committed(queue, records)


def _set_head(queue: Queue, values: list[str]) -> None:
    """Name another head, in the fields of the state that hold the one there is."""
    head = queue.status().head
    state = queue.client.hgetall(STATE)
    for old, new in zip((head.checkpoint, head.dataset, head.date), values, strict=True):
        (field,) = (key for key, value in state.items() if value == old)
        queue.client.hset(STATE, field, new)


@pytest.mark.parametrize(
    ("field", "value"),
    [("order", 4), ("dataset", "2018-04-03.pkl"), ("date", "2018-04-04"), ("base", "1" * 64)],
)
def test_last_commit_must_be_what_its_checkpoint_says(
    share: Share, queue: Queue, records: list[dict[str, Any]], field: str, value: object
) -> None:
    committed(queue, records)
    recovery = Recovery(queue, share, due=False)
    recovery.require_head(Base(records[2]))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="its commit in Redis is not its checkpoint's"):
        recovery.require_head(Base({**records[2], field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", ".checkpoints", f".{LEDGER_FILE}.next"])
def test_results_are_never_written_or_removed_through_a_link(
    tmp_path: Path, share: Share, name: str
) -> None:
    path, outside = share.output / name, tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    if path.exists():
        path.rmdir()
    path.symlink_to(outside)
    for use in (
        share.probe_writable,
        lambda: rewrite_report(share.root),
        lambda: list_files(share.root, "output"),
    ):
        with pytest.raises(UsageError, match="is a link; results are kept in plain directories"):
            use()
    assert [each.name for each in outside.iterdir()] == ["precious"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_ledger_letters_and_published_checkpoints_are_plain_files(
    share: Share, queue: Queue, records: list[dict[str, Any]], tmp_path: Path, kind: str
) -> None:
    committed(queue, records)
    projector = Projector(share, queue)
    projector.project()
    ledger, letters = share.output / LEDGER_FILE, share.output / "dead.jsonl"
    published = share.output / "model_cpt_2018-04-01.pkl"
    for path in (ledger, letters, published):
        outside = tmp_path / f"outside-{path.name}"
        if path.exists():
            path.rename(outside)
        else:
            outside.write_text("")
        os.mkfifo(path) if kind == "pipe" else path.symlink_to(outside)
        with pytest.raises(ValueError, match="not a plain file"):
            read_plain(path)
    with pytest.raises(UsageError, match="not a plain file"):
        read_ledger(ledger)
    refresh_report(share, sound_lines(share), [DeadLetter("a", "refused", "why")], "any")
    CheckpointStore(share).publish(records[0])
    assert letters.is_file()
    assert not letters.is_symlink()
    assert not published.is_symlink()
    assert published.is_file()


def test_deep_ledger_line_is_one_line(share: Share) -> None:
    (share.output / LEDGER_FILE).write_text("[" * 100_000 + "\n")
    with pytest.raises(UsageError, match="nested too deep"):
        read_ledger(share.output / LEDGER_FILE)
    assert sound_lines(share) == []


def test_size_of_a_ledger_is_looked_at_before_it_is_read(share: Share) -> None:
    with (share.output / LEDGER_FILE).open("wb") as stream:
        stream.truncate(2 << 30)
    with pytest.raises(UsageError, match="2147483648 bytes; at most"):
        read_ledger(share.output / LEDGER_FILE)


SMALL = {
    9: b"\x80\x05\x96" + struct.pack("<Q", 4 << 30)[:5] + b".",
    206: b"\x80\x05r\xff\xff\xff\x7f" + b"\x8e" + struct.pack("<Q", 4 << 30) + b"x" * 190,
}


@pytest.mark.parametrize("size", sorted(SMALL))
def test_small_checkpoint_takes_no_large_memory(tmp_path: Path, size: int) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(SMALL[size])
    assert path.stat().st_size == size
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from workload.engine.checkpoints import load, read_plain\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)\n"
        "try: load(read_plain(Path(sys.argv[1])), 'file')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("file: not a checkpoint")

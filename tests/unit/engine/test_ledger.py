"""The ledger: what was committed and published, whoever writes it, however often."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from workload.engine import ledger
from workload.engine.canonical import encode
from workload.engine.checkpoints import FORMAT, CheckpointStore
from workload.engine.ledger import Projector, commit_of, ledger_line, read_ledger, write_ledger
from workload.errors import ChainForgotten, DatasetFailed, UsageError
from workload.queue import Commit, Queue, RetryPolicy, connect
from workload.share import durable
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from workload.local.redis_server import EmbeddedRedis

    Check = Callable[[Sequence[Mapping[str, Any]]], None]


@pytest.fixture
def share(tmp_path: Path) -> Share:
    made = Share(tmp_path, visibility_seconds=0.0)
    made.probe_writable()
    return made


def chain(share: Share, days: int, *, salt: str = "") -> list[Commit]:
    """Return commits of a chain whose checkpoints are written, not published."""
    commits: list[Commit] = []
    base = None
    for day in range(1, days + 1):
        content = encode({"format": FORMAT, "day": day, "salt": salt})
        record = {
            "order": day,
            "dataset": f"datasets/training/2018-04-0{day}.pkl",
            "date": f"2018-04-0{day}",
            "sha256": "0" * 64,
            "base": base,
            "checkpoint": CheckpointStore(share).write(content),
            "checkpoint_file": f"model_cpt_2018-04-0{day}.pkl",
            "trainer": "any",
            "headline": [],
            "options": {},
        }
        base = record["checkpoint"]
        commits.append(Commit(record, attempts=0, crashes=1, committed=1.5))
    return commits


def commit(queue: Queue, commits: Sequence[Commit]) -> None:
    assert queue.extend(commits, commits[0].record["base"])


def lines_of(share: Share) -> list[dict[str, Any]]:
    return read_ledger(share.output / ledger.LEDGER_FILE)


def assert_published(share: Share, line: Mapping[str, Any]) -> None:
    content = (share.output / line["checkpoint_file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == line["checkpoint"]


def test_line_and_commit_are_two_forms_of_the_same(share: Share) -> None:
    (one,) = chain(share, 1)
    line = ledger_line(one)
    assert (line["attempts"], line["crashes"], line["committed"]) == (0, 1, 1.5)
    assert commit_of(line) == one


def test_every_commit_is_published_and_has_a_line_in_chain_order(
    share: Share, queue: Queue
) -> None:
    commits = chain(share, 3)
    commit(queue, commits)
    lines = Projector(share, queue).project()
    assert lines == lines_of(share) == [ledger_line(each) for each in commits]
    for line in lines:
        assert_published(share, line)


def test_line_appears_only_after_its_checkpoint_is_published(
    share: Share, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def watched(where: Share, lines: Sequence[Mapping[str, Any]], check: Check) -> bool:
        for line in lines:
            assert_published(where, line)
        written.append(len(lines))
        return write_ledger(where, lines, check)

    monkeypatch.setattr(ledger, "write_ledger", watched)
    commits = chain(share, 3)
    commit(queue, commits[:2])
    projector = Projector(share, queue)
    projector.project()
    commit(queue, commits[2:])
    projector.project()
    assert written == [2, 3]


def test_commit_whose_checkpoint_is_lost_gets_no_line(share: Share, queue: Queue) -> None:
    commits = chain(share, 2)
    commit(queue, commits)
    (share.output / ".checkpoints" / f"{commits[1].record['checkpoint']}.pkl").unlink()
    with pytest.raises(DatasetFailed):
        Projector(share, queue).project()
    for line in lines_of(share):
        assert_published(share, line)
    assert len(lines_of(share)) < 2


def test_two_projectors_racing_end_with_the_full_ledger(
    share: Share, queue: Queue, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = chain(share, 2)
    commit(queue, commits[:1])
    slow, fast = (
        Projector(share, Queue(connect(server.url), retry_policy=RetryPolicy(0.0)))
        for _ in range(2)
    )
    overtaken = False

    def overtake(where: Share, lines: Sequence[Mapping[str, Any]], check: Check) -> bool:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            commit(queue, commits[1:])
            assert len(fast.project()) == 2
        return write_ledger(where, lines, check)

    monkeypatch.setattr(ledger, "write_ledger", overtake)
    slow.project()
    assert overtaken
    assert lines_of(share) == [ledger_line(each) for each in commits]
    for projector in (slow, fast):
        projector.queue.close()


def test_writer_that_was_stopped_replaces_no_longer_ledger_when_it_goes_on(
    share: Share, queue: Queue, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked at Redis and at the ledger, and only the new name was left to give."""
    commits = chain(share, 3)
    commit(queue, commits[:1])
    stopped, other = (
        Projector(share, Queue(connect(server.url), retry_policy=RetryPolicy(0.0)))
        for _ in range(2)
    )
    look, lengths = Projector._may_replace, []

    def stop(self: Projector, lines: Sequence[Mapping[str, Any]]) -> None:
        look(self, lines)
        lengths.append(len(lines))
        if len(lengths) == 1:
            commit(queue, commits[1:])
            assert len(other.project()) == 3

    monkeypatch.setattr(Projector, "_may_replace", stop)
    renamed: list[int] = []
    rename = durable.rename

    def watched(source: Path, target: Path) -> None:
        rename(source, target)
        if target.name == ledger.LEDGER_FILE:
            renamed.append(len(lines_of(share)))

    monkeypatch.setattr(durable, "rename", watched)
    assert len(stopped.project()) == 3
    assert renamed == [3]
    assert not list((share.output / ".ledger.jsonl.next").iterdir())
    for projector in (stopped, other):
        projector.queue.close()


@pytest.mark.parametrize("left", [0, 1])
def test_ledger_that_proves_more_than_redis_knows_is_left_alone(
    share: Share, queue: Queue, left: int
) -> None:
    commits = chain(share, 3)
    commit(queue, commits)
    projector = Projector(share, queue)
    projector.project()
    before = (share.output / ledger.LEDGER_FILE).read_bytes()
    queue.replace(commits[:left])
    for each in (projector, Projector(share, queue)):
        with pytest.raises(ChainForgotten, match=r"ledger\.jsonl: Redis does not know"):
            each.project()
        assert (share.output / ledger.LEDGER_FILE).read_bytes() == before


@pytest.mark.parametrize("content", [b"not json\n", b"{}\n"])
def test_file_that_is_no_ledger_is_not_emptied_for_a_queue_without_commits(
    share: Share, queue: Queue, content: bytes
) -> None:
    path = share.output / ledger.LEDGER_FILE
    path.write_bytes(content)
    with pytest.raises(UsageError, match="queue rebuild"):
        Projector(share, queue).project()
    assert path.read_bytes() == content


def test_only_the_ledger_that_a_rebuild_made_void_is_replaced_by_a_shorter_one(
    share: Share, queue: Queue
) -> None:
    """Not a later one, which a Redis that came back from that time does not know."""
    commits = chain(share, 3)
    commit(queue, commits[:2])
    Projector(share, queue).project()
    void = ledger.ledger_hash(share)
    commit(queue, commits[2:])
    Projector(share, queue).project()
    queue.replace(commits[:1], ledger=void)
    with pytest.raises(ChainForgotten):
        Projector(share, queue).project()
    assert len(lines_of(share)) == 3
    queue.replace(commits[:1], ledger=ledger.ledger_hash(share))
    Projector(share, queue).project()
    assert len(lines_of(share)) == 1


@pytest.mark.parametrize("length", [1, 100, ledger._TAIL_BYTES, 3 * ledger._TAIL_BYTES])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_last_line_is_read_whole_however_long_lines_are(
    share: Share, queue: Queue, length: int, count: int
) -> None:
    commit(queue, chain(share, count))
    lines = Projector(share, queue).project()
    path = share.output / ledger.LEDGER_FILE
    path.write_text("".join(json.dumps({**line, "note": "x" * length}) + "\n" for line in lines))
    assert ledger.last_line(path) == read_ledger(path)[-1]


def test_ledger_without_lines_has_no_last_one(tmp_path: Path) -> None:
    assert ledger.last_line(tmp_path / "none") is None
    (tmp_path / "empty").touch()
    assert ledger.last_line(tmp_path / "empty") is None


@pytest.mark.parametrize("end", [b"{}\n", b"[]\n", b"not json\n", b'{"order": 1, "da'])
def test_ledger_that_ends_in_garbage_is_refused_when_its_last_line_is_asked_for(
    share: Share, queue: Queue, end: bytes
) -> None:
    commit(queue, chain(share, 2))
    Projector(share, queue).project()
    path = share.output / ledger.LEDGER_FILE
    path.write_bytes(path.read_bytes() + end)
    with pytest.raises(UsageError, match=r"ledger\.jsonl: not a ledger .*queue rebuild"):
        ledger.last_line(path)


def test_ledger_is_not_written_more_often_than_the_interval_unless_forced(
    share: Share, queue: Queue
) -> None:
    commits = chain(share, 3)
    projector = Projector(share, queue, interval=1e9)
    for count, (force, expected) in enumerate([(False, 1), (False, 1), (True, 3)]):
        commit(queue, commits[count : count + 1])
        projector.project(force=force)
        assert len(lines_of(share)) == expected
        assert_published(share, commits[count].record)


def test_last_commit_is_written_when_forced_though_it_was_seen_before(
    share: Share, queue: Queue
) -> None:
    commits = chain(share, 2)
    projector = Projector(share, queue, interval=1e9)
    for each in commits:
        commit(queue, [each])
        projector.project(force=False)
    assert len(lines_of(share)) == 1
    projector.project()
    assert len(lines_of(share)) == 2


def test_equal_ledger_is_left_alone(share: Share, queue: Queue) -> None:
    commit(queue, chain(share, 2))
    Projector(share, queue).project()
    before = (share.output / ledger.LEDGER_FILE).stat()
    Projector(share, queue).project()
    after = (share.output / ledger.LEDGER_FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_committed_is_no_ledger(share: Share, queue: Queue) -> None:
    assert Projector(share, queue).project() == []
    assert not (share.output / ledger.LEDGER_FILE).exists()
    assert lines_of(share) == []


@pytest.mark.parametrize("days", [1, 2, 3])
def test_ledger_is_one_chain_though_the_queue_was_rebuilt_meanwhile(
    share: Share, queue: Queue, days: int
) -> None:
    commit(queue, chain(share, 2))
    projector = Projector(share, queue)
    projector.project()
    rebuilt = chain(share, days, salt="rebuilt")
    queue.replace(rebuilt, ledger=ledger.ledger_hash(share))
    assert projector.project() == lines_of(share) == [ledger_line(each) for each in rebuilt]


@pytest.mark.parametrize(
    "content",
    [
        b"not json\n",
        b"\n",
        b'{"order": 1, "dataset"',
        b"\x80garbage",
        b"5\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
    ],
)
def test_garbage_is_one_line_that_names_the_file_and_the_remedy(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / ledger.LEDGER_FILE
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"ledger\.jsonl: not a ledger .*queue rebuild") as caught:
        read_ledger(path)
    assert "\n" not in str(caught.value)

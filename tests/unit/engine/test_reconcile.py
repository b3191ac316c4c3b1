"""What Redis, ledger and files prove about the chain, after any of them was lost."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tests.support.fleet import fleet, write_day
from workload.engine import ledger
from workload.engine.canonical import decode, encode
from workload.engine.checkpoints import FORMAT, CheckpointStore
from workload.engine.ledger import commit_of, read_ledger, write_ledger
from workload.engine.reconcile import Rebuilt, rebuild, reconcile
from workload.errors import DatasetFailed, QueueUnavailable, UsageError
from workload.fraud.trainer import FraudTrainer
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Commit, Queue, RetryPolicy, connect
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START = dt.date(2018, 4, 1)
DAYS = [f"datasets/training/2018-04-0{day}.pkl" for day in range(1, 5)]


@dataclass(frozen=True)
class World:
    """A share and the queue it belongs to, to be lost in parts."""

    share: Share
    queue: Queue
    server: EmbeddedRedis

    @property
    def root(self) -> Path:
        return self.share.root

    @property
    def ledger(self) -> Path:
        return self.share.output / ledger.LEDGER_FILE

    def lines(self) -> list[dict[str, Any]]:
        return read_ledger(self.ledger)

    def commits(self) -> list[Commit]:
        return [commit_of(line) for line in self.lines()]

    def published(self, dataset: str) -> Path:
        return self.share.output / f"model_cpt_{dataset[18:28]}.pkl"

    def learned(self) -> list[str]:
        return [str(commit.record["dataset"]) for commit in self.queue.commits()]

    def waiting(self) -> list[str]:
        return [str(item) for item in self.queue.client.lrange("datasets", 0, -1)]

    def forget_after(self, days: int) -> None:
        """Make it look as if only the ledger's first `days` datasets had ever been learned."""
        lines = self.lines()
        for line in lines[days:]:
            (self.share.output / line["checkpoint_file"]).unlink()
            (self.share.output / ".checkpoints" / f"{line['checkpoint']}.pkl").unlink()
        _write_ledger(self.share, lines[:days])
        self.queue.replace(self.commits())

    def lose_redis(self) -> None:
        self.queue.client.flushall()

    def lose_ledger(self) -> None:
        self.ledger.unlink()

    def rebuild(self) -> Rebuilt:
        return rebuild(self.queue, self.share, FraudTrainer())

    def learn(self, *datasets: str) -> str:
        """Let one worker learn what waits, and `datasets`; return the last checkpoint's hash."""
        self.queue.push(datasets)
        return learn(self.root, self.server)


def learn(root: Path, server: EmbeddedRedis, *, code: int = 0) -> str:
    with fleet(root, server) as crew:
        worker = crew.start()
        assert worker.wait() == code, worker.log.read_text()
    return str(read_ledger(root / "output" / ledger.LEDGER_FILE)[-1]["checkpoint"])


def _learned(root: Path, code: int = 0) -> Path:
    """Learn all that is in `root` with a Redis of its own."""
    with EmbeddedRedis(root.parent / f"{root.name}-redis") as server:
        with connect(server.url) as client:
            names = sorted(path.name for path in (root / "datasets/training").iterdir())
            Queue(client).push([f"datasets/training/{name}" for name in names])
        learn(root, server, code=code)
    return root


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return four small days and a testing day; they are copied, never written."""
    root = tmp_path_factory.mktemp("world") / "datasets"
    for number, dataset in enumerate(DAYS):
        write_day(root.parent / dataset, number, START)
    write_day(root / "testing/test_dataset.pkl", len(DAYS), START)
    return root


@pytest.fixture(scope="module")
def whole(datasets: Path) -> Path:
    """Return a share on which all four days were learned, in order."""
    root = datasets.parent / "whole"
    shutil.copytree(datasets, root / "datasets")
    return _learned(root)


@pytest.fixture(scope="module")
def gap(datasets: Path) -> Path:
    """Return a share on which the second day was refused: it is garbage."""
    root = datasets.parent / "gap"
    shutil.copytree(datasets, root / "datasets")
    (root / DAYS[1]).write_bytes(b"garbage")
    return _learned(root, code=3)


def _write_ledger(share: Share, lines: Sequence[Mapping[str, Any]]) -> None:
    write_ledger(share, lines, lambda _: None)


def _world(source: Path, tmp_path: Path, queue: Queue, server: EmbeddedRedis) -> World:
    root = tmp_path / "share"
    shutil.copytree(source, root)
    world = World(Share(root, visibility_seconds=0.0), queue, server)
    queue.replace(world.commits())
    return world


@pytest.fixture
def world(whole: Path, tmp_path: Path, queue: Queue, server: EmbeddedRedis) -> World:
    return _world(whole, tmp_path, queue, server)


@pytest.fixture
def gapped(gap: Path, tmp_path: Path, queue: Queue, server: EmbeddedRedis) -> World:
    return _world(gap, tmp_path, queue, server)


@pytest.fixture(scope="module")
def undisturbed(whole: Path) -> str:
    """Hash of the last checkpoint of the four days."""
    return str(read_ledger(whole / "output" / ledger.LEDGER_FILE)[-1]["checkpoint"])


# --- reconcile ------------------------------------------------------------------------------------


def test_redis_that_lost_everything_gets_the_chain_back_and_goes_on_to_the_same_hash(
    world: World, undisturbed: str
) -> None:
    world.forget_after(3)
    commits = world.queue.commits()
    world.lose_redis()
    assert reconcile(world.queue, world.share) == 3
    assert world.queue.commits() == commits
    assert world.queue.status().head.dataset == DAYS[2]
    assert world.queue.push(DAYS)[1] == {
        **dict.fromkeys(DAYS[:3], "committed"),
        DAYS[3]: "pushed",
    }
    assert world.learn() == undisturbed


@pytest.mark.parametrize("left", [0, 1, 2])
def test_redis_that_went_back_in_time_is_extended(world: World, left: int) -> None:
    commits = world.queue.commits()
    world.queue.replace(commits[:left], DAYS[left:])
    assert reconcile(world.queue, world.share) == 4 - left
    assert world.queue.commits() == commits
    assert world.waiting() == []
    assert reconcile(world.queue, world.share) == 0


def test_worker_reconciles_by_itself_before_it_folds(world: World, undisturbed: str) -> None:
    world.forget_after(3)
    known = world.lines()
    world.queue.replace(world.commits()[:1], DAYS[1:])
    assert world.learn() == undisturbed
    assert world.lines()[:3] == known, "what the ledger proves is not learned again"
    assert world.learned() == DAYS


def test_ledger_behind_redis_is_no_contradiction(world: World) -> None:
    _write_ledger(world.share, world.lines()[:2])
    assert reconcile(world.queue, world.share) == 0
    assert world.learned() == DAYS


def test_new_share_and_new_redis_have_nothing_to_reconcile(tmp_path: Path, queue: Queue) -> None:
    share = Share(tmp_path, visibility_seconds=0.0)
    share.probe_writable()
    assert reconcile(queue, share) == 0


def test_chains_that_differ_are_refused_in_one_line_and_nothing_changes(world: World) -> None:
    lines = world.lines()
    lines[1]["checkpoint"] = lines[2]["base"] = "0" * 64
    _write_ledger(world.share, lines)
    before = world.ledger.read_bytes()
    for commits in (world.queue.commits(), world.queue.commits()[:2]):
        world.queue.replace(commits)
        with pytest.raises(UsageError, match=r"the one in Redis differ; .*queue rebuild") as caught:
            reconcile(world.queue, world.share)
        assert "\n" not in str(caught.value)
        assert world.queue.commits() == commits
        assert world.ledger.read_bytes() == before


def test_checkpoints_that_nobody_knows_are_pointed_out_not_overwritten(world: World) -> None:
    world.lose_redis()
    world.lose_ledger()
    with pytest.raises(UsageError, match=r"model_cpt_.*: neither Redis nor the ledger knows this"):
        reconcile(world.queue, world.share)
    assert all(world.published(dataset).exists() for dataset in DAYS)


def test_checkpoint_published_while_a_worker_starts_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.lose_ledger()
    commits = Queue.commits

    def before_the_first(self: Queue, start: int = 0) -> list[Commit]:
        monkeypatch.setattr(Queue, "commits", commits)
        return []

    monkeypatch.setattr(Queue, "commits", before_the_first)
    assert reconcile(world.queue, world.share) == 0
    assert world.learned() == DAYS


def test_chain_is_not_restored_to_a_head_whose_checkpoint_is_lost(world: World) -> None:
    last = world.lines()[-1]
    world.lose_redis()
    for name in (last["checkpoint_file"], f".checkpoints/{last['checkpoint']}.pkl"):
        (world.share.output / name).unlink()
    with pytest.raises(DatasetFailed, match=str(last["checkpoint_file"])):
        reconcile(world.queue, world.share)
    assert world.learned() == []


def test_two_that_restore_at_once_restore_once(
    world: World, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.lose_redis()
    other = Queue(connect(server.url), retry_policy=RetryPolicy(0.0))
    read, counts = CheckpointStore.read, []

    def overtaken(self: CheckpointStore, digest: str, dataset: str) -> bytes:
        monkeypatch.setattr(CheckpointStore, "read", read)
        counts.append(reconcile(other, world.share))
        return read(self, digest, dataset)

    monkeypatch.setattr(CheckpointStore, "read", overtaken)
    assert reconcile(world.queue, world.share) == 0
    assert counts == [4]
    assert world.learned() == DAYS
    other.close()


# --- rebuild --------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [True, False], ids=["with .checkpoints", "without"])
def test_chain_is_kept_from_the_checkpoints_alone_as_far_as_they_prove_each_other(
    world: World, undisturbed: str, hidden: bool
) -> None:
    proven = 3 if hidden else 2  # nothing was learned from the newest
    world.forget_after(3)
    kept = world.lines()[:proven]
    world.lose_redis()
    world.lose_ledger()
    if not hidden:
        shutil.rmtree(world.share.output / ".checkpoints")
    assert world.rebuild() == Rebuilt(DAYS[:proven], DAYS[proven:], [])
    assert world.waiting() == DAYS[proven:]
    for line, again in zip(kept, world.lines(), strict=True):
        for key in ("order", "dataset", "date", "sha256", "rows", "base", "checkpoint", "metrics"):
            assert again[key] == line[key]
    assert world.learn() == undisturbed


def test_ledger_lines_survive_when_only_redis_was_lost(world: World) -> None:
    lines = world.lines()
    world.lose_redis()
    assert world.rebuild() == Rebuilt(DAYS, [], [])
    assert world.lines() == lines
    assert world.queue.commits() == world.commits()


def test_damaged_ledger_is_written_again_from_the_checkpoints(world: World) -> None:
    world.lose_redis()
    world.ledger.write_text("damaged\n")
    assert world.rebuild().kept == DAYS
    assert [line["dataset"] for line in world.lines()] == DAYS


@pytest.mark.parametrize("late", ["repaired", "missing"])
def test_dataset_that_comes_late_is_folded_in_its_place_and_everything_after_it_again(
    late: str, gapped: World, datasets: Path, undisturbed: str
) -> None:
    assert gapped.learned() == [DAYS[0], DAYS[2], DAYS[3]]
    if late == "missing":
        (gapped.root / DAYS[1]).unlink()
        assert gapped.rebuild().waiting == []
    shutil.copy(datasets.parent / DAYS[1], gapped.root / DAYS[1])
    assert gapped.rebuild() == Rebuilt(DAYS[:1], DAYS[1:], [])
    assert gapped.queue.status().dead == []
    assert [gapped.published(day).exists() for day in DAYS] == [True, False, False, False]
    assert len(gapped.lines()) == 1
    assert gapped.learn() == undisturbed
    assert gapped.learned() == DAYS


def test_dataset_that_is_still_refused_does_not_cost_the_chain_after_it(gapped: World) -> None:
    lines = gapped.lines()
    gapped.lose_redis()
    rebuilt = gapped.rebuild()
    assert rebuilt.kept == [DAYS[0], DAYS[2], DAYS[3]]
    assert rebuilt.waiting == []
    ((dataset, kind, reason),) = [
        (letter.dataset, letter.kind, letter.reason) for letter in rebuilt.refused
    ]
    assert (dataset, kind) == (DAYS[1], "refused")
    assert reason
    assert gapped.queue.status().dead == rebuilt.refused
    assert gapped.lines() == lines


def test_changed_bytes_of_a_learned_dataset_are_learned_again_with_all_that_follows(
    world: World, datasets: Path, tmp_path: Path
) -> None:
    changed = pd.read_pickle(datasets.parent / DAYS[2]).iloc[:-1]
    changed.to_pickle(world.root / DAYS[2])
    assert world.rebuild() == Rebuilt(DAYS[:2], DAYS[2:], [])
    assert not world.published(DAYS[2]).exists()
    assert not world.published(DAYS[3]).exists()
    fresh = tmp_path / "fresh"
    shutil.copytree(world.root / "datasets", fresh / "datasets")
    assert (
        world.learn()
        == read_ledger(_learned(fresh) / "output" / ledger.LEDGER_FILE)[-1]["checkpoint"]
    )


def test_second_file_of_a_day_and_undated_names_are_refused_with_reasons(world: World) -> None:
    undated, second = "datasets/training/notadate.pkl", DAYS[1].replace(".pkl", ".parquet")
    shutil.copy(world.root / DAYS[0], world.root / undated)
    pd.read_pickle(world.root / DAYS[1]).to_parquet(world.root / second)
    rebuilt = world.rebuild()
    refused = {letter.dataset: letter.reason for letter in rebuilt.refused}
    assert "not a date" in refused.pop(undated)
    ((dataset, reason),) = refused.items()
    other = {DAYS[1]: second, second: DAYS[1]}[dataset]
    assert reason == f"{other} is of the same day"
    assert other in rebuilt.kept + rebuilt.waiting
    assert world.queue.status().dead == sorted(rebuilt.refused, key=lambda each: each.dataset)


def test_learned_file_of_a_day_is_kept_before_a_second_one(world: World) -> None:
    second = DAYS[1].replace(".pkl", ".csv")
    pd.read_pickle(world.root / DAYS[1]).to_csv(world.root / second, index=False)
    rebuilt = world.rebuild()
    assert rebuilt.kept == DAYS
    assert [letter.dataset for letter in rebuilt.refused] == [second]


def test_learned_dataset_that_is_gone_takes_those_after_it_back_to_the_queue(world: World) -> None:
    (world.root / DAYS[1]).unlink()
    assert world.rebuild() == Rebuilt(DAYS[:1], DAYS[2:], [])
    assert world.learned() == DAYS[:1]


def test_names_of_checkpoints_without_a_dataset_are_withdrawn(world: World) -> None:
    for dataset in DAYS[2:]:
        (world.root / dataset).unlink()
    assert world.rebuild() == Rebuilt(DAYS[:2], [], [])
    assert [world.published(day).exists() for day in DAYS] == [True, True, False, False]
    assert world.learned() == DAYS[:2]


def test_dead_letters_and_a_halt_end_with_the_rebuild(world: World) -> None:
    world.forget_after(2)
    world.queue.push(DAYS[2:])
    world.queue.skip(DAYS[3], "by hand")
    world.queue.client.hset("datasets:state", mapping={"halted_dataset": DAYS[2]})
    assert world.rebuild() == Rebuilt(DAYS[:2], DAYS[2:], [])
    status = world.queue.status()
    assert (status.halted, status.dead, world.waiting()) == (None, [], DAYS[2:])


def test_share_without_datasets_is_one_line(tmp_path: Path, queue: Queue) -> None:
    share = Share(tmp_path, visibility_seconds=0.0)
    share.probe_writable()
    with pytest.raises(UsageError, match="no datasets; allowed are YYYY-MM-DD with"):
        rebuild(queue, share, FraudTrainer())


@pytest.mark.parametrize("left", [b"garbage", encode({"format": "another program's"})])
def test_run_can_start_after_a_rebuild_whatever_lay_under_the_names(
    world: World, left: bytes
) -> None:
    world.lose_redis()
    world.lose_ledger()
    shutil.rmtree(world.share.output / ".checkpoints")
    for dataset in DAYS:
        world.published(dataset).unlink()
        world.published(dataset).write_bytes(left)
    assert world.rebuild().waiting == DAYS
    assert reconcile(world.queue, world.share) == 0


def test_checkpoint_without_a_record_is_learned_again(world: World) -> None:
    world.published(DAYS[1]).unlink()
    world.published(DAYS[1]).write_bytes(encode({"format": FORMAT}))
    world.lose_ledger()
    assert world.rebuild().kept == DAYS[:1]


def damaged(content: bytes) -> bytes:
    """Return a valid checkpoint with other weights."""
    tree = decode(content)
    tree["learner"]["weights"] = tree["learner"]["weights"] + 1.0
    return encode(tree)


def replace(path: Path, content: bytes) -> None:
    path.unlink()  # it may be a link to the file under its hash
    path.write_bytes(content)


@pytest.mark.parametrize("day", [0, 2, 3])
@pytest.mark.parametrize("lost", ["redis", "nothing"])
def test_damaged_published_checkpoint_is_replaced_by_the_bytes_that_the_ledger_names(
    world: World, day: int, lost: str
) -> None:
    lines, path = world.lines(), world.published(DAYS[day])
    good = path.read_bytes()
    replace(path, damaged(good))
    if lost == "redis":
        world.lose_redis()
    assert world.rebuild() == Rebuilt(DAYS, [], [])
    assert path.read_bytes() == good
    assert world.lines() == lines


@pytest.mark.parametrize("day", [1, 3])
def test_damaged_checkpoint_whose_right_bytes_are_nowhere_is_learned_again(
    world: World, day: int, undisturbed: str
) -> None:
    line, path = world.lines()[day], world.published(DAYS[day])
    (world.share.output / ".checkpoints" / f"{line['checkpoint']}.pkl").unlink()
    replace(path, damaged(path.read_bytes()))
    assert world.rebuild() == Rebuilt(DAYS[:day], DAYS[day:], [])
    assert world.learn() == undisturbed


def test_checkpoint_of_a_day_of_which_the_ledger_names_another_is_not_believed(
    world: World, undisturbed: str
) -> None:
    line, path = world.lines()[3], world.published(DAYS[3])
    (world.share.output / ".checkpoints" / f"{line['checkpoint']}.pkl").unlink()
    other = damaged(path.read_bytes())
    replace(path, other)
    CheckpointStore(world.share).write(other)
    assert world.rebuild() == Rebuilt(DAYS[:3], DAYS[3:], [])
    assert world.learn() == undisturbed


@pytest.mark.parametrize("day", [1, 3])
def test_without_a_ledger_a_damaged_checkpoint_proves_nothing(
    world: World, day: int, undisturbed: str
) -> None:
    path = world.published(DAYS[day])
    replace(path, damaged(path.read_bytes()))
    world.lose_redis()
    world.lose_ledger()
    assert world.rebuild() == Rebuilt(DAYS[:day], DAYS[day:], [])
    assert world.learn() == undisturbed


def test_published_name_that_was_deleted_comes_back_with_a_rebuild(world: World) -> None:
    for day in (1, 3):
        world.published(DAYS[day]).unlink()
    assert world.rebuild() == Rebuilt(DAYS, [], [])
    assert all(world.published(dataset).exists() for dataset in DAYS)


def test_published_name_that_was_deleted_comes_back_with_the_next_run(world: World) -> None:
    for day in (1, 3):
        world.published(DAYS[day]).unlink()
    world.learn()
    assert all(world.published(dataset).exists() for dataset in DAYS)


def test_checkpoints_deleted_under_both_names_do_not_stop_a_run(
    world: World, undisturbed: str
) -> None:
    line = world.lines()[1]
    for name in (line["checkpoint_file"], f".checkpoints/{line['checkpoint']}.pkl"):
        (world.share.output / name).unlink()
    assert world.learn() == undisturbed


def test_record_that_leads_out_of_the_share_writes_and_removes_nothing_there(
    world: World, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.pkl"
    outside.write_bytes(b"precious")
    tree = decode(world.published(DAYS[3]).read_bytes())
    for name in ("../../outside.pkl", "/etc/passwd", f"../{DAYS[3]}"):
        tree["record"]["checkpoint_file"] = name
        replace(world.published(DAYS[3]), encode(tree))
        world.lose_ledger()
        assert world.rebuild().kept == DAYS[:3]
        assert outside.read_bytes() == b"precious"
        world.published(DAYS[3]).write_bytes(b"")


@pytest.mark.parametrize("name", ["../../outside.pkl", "../outside.pkl", "/outside.pkl"])
def test_ledger_and_redis_can_not_name_a_file_to_write(world: World, name: str) -> None:
    lines = world.lines()
    hostile = {**lines[3], "checkpoint_file": name}
    with pytest.raises(UsageError, match="the checkpoint_file in its record is not model_cpt_"):
        CheckpointStore(world.share).publish(hostile)
    world.ledger.write_text("".join(json.dumps(line) + "\n" for line in [*lines[:3], hostile]))
    with pytest.raises(UsageError, match="the checkpoint_file in its record is not model_cpt_"):
        world.lines()


@pytest.mark.parametrize("kind", ["pipe", "link", "loop", "nowhere"])
def test_pipes_and_links_among_the_checkpoints_end_nothing(
    world: World, kind: str, tmp_path: Path
) -> None:
    line = world.lines()[3]
    stray, hidden = (
        world.share.output / "model_cpt_zz.pkl",
        world.share.output / ".checkpoints" / f"{line['checkpoint']}.pkl",
    )
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    hidden.unlink()
    for path in (stray, hidden):
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "link":
                path.symlink_to(outside)
            case "loop":
                path.symlink_to(path)
            case "nowhere":
                path.symlink_to(tmp_path / "nowhere")
    assert world.rebuild() == Rebuilt(DAYS, [], [])
    assert not os.path.lexists(stray)
    assert outside.read_bytes() == b"precious"


def test_directory_with_the_name_of_a_checkpoint_is_one_line(world: World) -> None:
    (world.share.output / "model_cpt_zz.pkl").mkdir()
    with pytest.raises(UsageError, match=r"model_cpt_zz.pkl: a directory where a checkpoint goes"):
        world.rebuild()
    assert world.learned() == DAYS


def test_days_learned_with_another_label_are_learned_again(world: World) -> None:
    assert rebuild(world.queue, world.share, FraudTrainer("TX_FRAUD")).waiting == DAYS


def test_rebuild_without_redis_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.root / DAYS[1]).write_bytes(b"changed")

    def away(*_: object, **__: object) -> bool:
        raise QueueUnavailable("away")

    monkeypatch.setattr(Queue, "replace", away)
    with pytest.raises(QueueUnavailable):
        world.rebuild()
    assert all(world.published(dataset).exists() for dataset in DAYS)


def test_datasets_pushed_from_elsewhere_on_the_share_are_not_lost(world: World) -> None:
    world.queue.push(["datasets/more/2018-05-01.pkl"])
    write_day(world.root / "datasets/more/2018-05-01.pkl", 0, dt.date(2018, 5, 1))
    world.rebuild()
    assert "datasets/more/2018-05-01.pkl" in world.waiting()

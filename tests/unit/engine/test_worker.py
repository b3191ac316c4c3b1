"""Workers as real processes against a real Redis: killed, stopped, told to leave, cut off."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.fleet import STEPS, Accident, Fleet, fleet, until, write_day
from workload.engine.chain import ChainState
from workload.engine.ledger import read_ledger
from workload.fraud.trainer import FraudTrainer
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Claimed, Queue, RetryPolicy, connect
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = dt.date(2018, 4, 1)
DAYS = 5
SHORT: dict[str, Any] = {"lease_seconds": 0.5, "renew_seconds": 0.1}
"""A lease that a test can afford to wait for."""


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return five small days and a testing day; they are copied, never written."""
    root = tmp_path_factory.mktemp("world")
    for number in range(DAYS):
        date = START + dt.timedelta(number)
        write_day(root / "datasets/training" / f"{date}.pkl", number, START)
    write_day(root / "datasets/testing/test_dataset.pkl", DAYS, START)
    return root


@pytest.fixture
def share(tmp_path: Path, datasets: Path) -> Path:
    root = tmp_path / "share"
    shutil.copytree(datasets, root)
    return root


@pytest.fixture
def crew(share: Path, server: EmbeddedRedis) -> Iterator[Fleet]:
    with fleet(share, server) as started:
        yield started


@pytest.fixture(scope="module")
def quiet(datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Hash of the last checkpoint of a run in which nothing happened, by one worker."""
    root = tmp_path_factory.mktemp("quiet") / "share"
    shutil.copytree(datasets, root)
    with EmbeddedRedis(root.parent / "redis") as server:
        with connect(server.url) as client:
            push_all(Queue(client), root)
        with fleet(root, server) as crew:
            assert crew.start().wait() == 0
    return last_hash(root)


def push_all(queue: Queue, share: Path) -> list[str]:
    names = sorted(path.name for path in (share / "datasets/training").iterdir())
    pushed = [f"datasets/training/{name}" for name in names]
    queue.client.rpush("datasets", *pushed)
    return pushed


def last_hash(share: Path) -> str:
    return str(read_ledger(share / "output/ledger.jsonl")[-1]["checkpoint"])


def assert_whole(share: Path, queue: Queue, manifest: list[str]) -> None:
    """Check that ledger = manifest, one chain, files as recorded, nothing twice, nothing left."""
    lines = read_ledger(share / "output/ledger.jsonl")
    assert [line["dataset"] for line in lines] == manifest
    assert [line["order"] for line in lines] == list(range(1, len(manifest) + 1))
    bases = [None, *(line["checkpoint"] for line in lines)]
    assert [line["base"] for line in lines] == bases[:-1]
    for line in lines:
        content = (share / "output" / line["checkpoint_file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line["checkpoint"]
    status = queue.status()
    assert status.drained
    assert status.committed == len(manifest)
    assert not list((share / "output").glob(".*.tmp"))


def claimed(queue: Queue) -> int:
    return len(queue.status().claims)


def test_one_worker_learns_everything_in_order(share: Path, queue: Queue, crew: Fleet) -> None:
    manifest = push_all(queue, share)
    worker = crew.start(write_report="true")
    assert worker.wait() == 0
    assert_whole(share, queue, manifest)
    log = worker.log.read_text()
    for line in (
        f"Worker with sessionID: {read_ledger(share / 'output/ledger.jsonl')[0]['worker']}",
        "Initial queue state: empty=False",
        "Processing dataset: datasets/training/2018-04-01.pkl",
        "Queue empty, exiting",
    ):
        assert line in log
    report = (share / "output/report.txt").read_text()
    assert report.count("Accuracy on testing data: 0.") == DAYS
    assert (share / "output/report.html").stat().st_size > 1000


@pytest.mark.parametrize("step", STEPS)
def test_worker_killed_at_any_step_loses_nothing_and_repeats_nothing(
    step: str, share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    assert crew.start(Accident(step)).wait() == -signal.SIGKILL
    assert crew.start().wait() == 0
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


@pytest.mark.parametrize("step", ["after claim", "after write", "after commit"])
def test_lost_node_is_taken_over_when_the_lease_ends(
    step: str, share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    doomed = crew.start(Accident(step, signal.SIGSTOP), **SHORT)
    until(lambda: psutil.Process(doomed.pid).status() == psutil.STATUS_STOPPED, "stopped")
    doomed.lose_node()
    assert crew.start(**SHORT).wait() == 0
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


def test_line_goes_on_when_all_hold_later_datasets_and_the_first_worker_dies(
    share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    first = crew.start(Accident("after claim", signal.SIGSTOP, time=1), lease_seconds=60)
    until(lambda: claimed(queue) == 1, "the first dataset is claimed")
    others = [crew.start(lease_seconds=60) for _ in range(3)]
    until(lambda: claimed(queue) == 4, "everybody holds a later dataset")
    first.signal(signal.SIGKILL)
    assert [worker.wait() for worker in others] == [0, 0, 0]
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


def test_zombie_that_wakes_up_after_its_lease_changes_nothing(
    share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    zombie = crew.start(Accident("after write", signal.SIGSTOP), **SHORT)
    until(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_STOPPED, "stopped")
    assert crew.start(**SHORT).wait() == 0, "the stopped worker's renewer lets go"
    files = {path: path.read_bytes() for path in (share / "output").glob("model_cpt_*.pkl")}
    zombie.signal(signal.SIGCONT)
    assert zombie.wait() == 0
    assert "Lease lost" in zombie.log.read_text()
    assert {path: path.read_bytes() for path in files} == files
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


def test_renewer_ends_with_its_worker_and_returns_its_dataset_at_once(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    push_all(queue, share)
    worker = crew.start(Accident("after claim", signal.SIGSTOP, time=1), lease_seconds=3600)
    until(lambda: claimed(queue) == 1, "claimed")
    (renewer,) = psutil.Process(worker.pid).children()
    worker.signal(signal.SIGKILL)
    until(lambda: claimed(queue) == 0, "the dataset is back, long before its lease ends")
    until(lambda: not renewer.is_running(), "the renewer is gone")
    queue.client.rpush("datasets", "other")
    answer = queue.claim()
    assert isinstance(answer, Claimed)
    assert (answer.lease.attempts, answer.lease.crashes) == (0, 1)


def test_killed_renewer_is_replaced_and_the_lease_kept(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    manifest = push_all(queue, share)
    holder = queue.claim()
    assert isinstance(holder, Claimed)
    worker = crew.start(**SHORT)
    until(lambda: claimed(queue) == 2, "it holds the second dataset and waits for the first")
    (renewer,) = psutil.Process(worker.pid).children()
    renewer.kill()
    until(lambda: renewer not in psutil.Process(worker.pid).children(), "another one serves")
    queue.hand_back()
    assert worker.wait() == 0
    assert_whole(share, queue, manifest)


def test_sigterm_hands_back_at_once_and_exits_75(share: Path, queue: Queue, crew: Fleet) -> None:
    push_all(queue, share)
    holder = queue.claim()
    assert isinstance(holder, Claimed)
    worker = crew.start(lease_seconds=3600)
    until(lambda: claimed(queue) == 2, "the worker waits for its turn")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 75
    assert [claim.dataset for claim in queue.status().claims] == [holder.lease.dataset]
    queue.hand_back()
    second = (queue.claim(), queue.claim())[1]
    assert isinstance(second, Claimed)
    assert second.lease.dataset == "datasets/training/2018-04-02.pkl"
    assert (second.lease.attempts, second.lease.crashes) == (0, 0)


@pytest.mark.parametrize("step", ["after claim", "after prepare", "before training", "after write"])
def test_sigterm_in_the_middle_of_work_counts_as_nothing(
    step: str, share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    assert crew.start(Accident(step, signal.SIGTERM), lease_seconds=3600).wait() == 75
    assert claimed(queue) == 0
    assert crew.start().wait() == 0
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet
    assert {(c.attempts, c.crashes) for c in queue.commits()} == {(0, 0)}


def test_sigterm_is_obeyed_while_nothing_was_ever_queued(
    queue: Queue, share: Path, crew: Fleet
) -> None:
    assert queue.status().drained
    worker = crew.start()
    until(lambda: "Initial queue state: empty=True" in _text(worker.log), "it waits")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 75


def test_worker_of_a_queue_never_filled_waits_for_the_first_dataset(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    worker = crew.start()
    until(lambda: "Initial queue state: empty=True" in _text(worker.log), "it waits")
    queue.client.rpush("datasets", "datasets/training/2018-04-01.pkl")
    assert worker.wait() == 0
    assert_whole(share, queue, ["datasets/training/2018-04-01.pkl"])
    assert crew.start().wait() == 0, "a later worker of an empty queue leaves at once"


def test_worker_does_not_leave_while_another_holds_a_dataset(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    queue.client.rpush("datasets", "datasets/training/2018-04-01.pkl")
    holder = queue.claim()
    assert isinstance(holder, Claimed)
    worker = crew.start()
    until(lambda: "Initial queue state: empty=False" in _text(worker.log), "it looked")
    assert worker.process.is_alive()
    queue.hand_back()
    assert worker.wait() == 0
    assert_whole(share, queue, ["datasets/training/2018-04-01.pkl"])


@pytest.mark.parametrize("workers", [2, 4])
def test_final_checkpoint_does_not_depend_on_the_number_of_workers(
    workers: int, share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    started = [crew.start() for _ in range(workers)]
    assert {worker.wait() for worker in started} == {0}
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


def test_worker_goes_on_after_redis_was_away(
    share: Path, queue: Queue, crew: Fleet, quiet: str, tmp_path: Path
) -> None:
    with EmbeddedRedis(tmp_path / "redis") as own:
        client = connect(own.url)
        own_queue = Queue(client, retry_policy=RetryPolicy(30.0))
        manifest = push_all(own_queue, share)
        holder = own_queue.claim()
        assert isinstance(holder, Claimed)
        with fleet(share, own) as away:
            worker = away.start()
            until(lambda: claimed(own_queue) == 2, "it waits for its turn")
            process = psutil.Process(client.info("server")["process_id"])
            process.kill()
            until(lambda: "Redis is away" in _text(worker.log), "it noticed")
            until(own.revive, "the server is back")
            own_queue.hand_back()
            assert worker.wait() == 0
        assert_whole(share, own_queue, manifest)
        own_queue.close()
    assert last_hash(share) == quiet


def test_redis_emptied_under_a_worker_does_not_start_a_second_chain(
    share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    assert crew.start(Accident("after commit", signal.SIGTERM, time=3)).wait() == 75
    queue.client.flushall()
    worker = crew.start()
    assert worker.wait() == 3, "what waited is lost with the queue, and must not pass for done"
    assert "2 datasets are neither learned nor queued" in _text(worker.log)
    queue.client.rpush("datasets", *manifest)
    assert crew.start().wait() == 0
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet


def test_testing_dataset_that_comes_late_does_not_change_the_chain(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    testing = share / "datasets/testing/test_dataset.pkl"
    testing.rename(share / "later.pkl")
    push_all(queue, share)
    assert crew.start(Accident("after commit", signal.SIGTERM)).wait() == 75
    (share / "later.pkl").rename(testing)
    assert crew.start().wait() == 0
    lines = read_ledger(share / "output/ledger.jsonl")
    assert [line["testing_sha256"] for line in lines] == [None] * DAYS
    assert lines[-1]["metrics"]["testing_note"] == "the chain began without a testing dataset"


def test_redis_away_for_too_long_is_one_line_and_exit_1(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    worker = crew.start(redis_url="unix:///nowhere/redis.sock", redis_wait_seconds=0)
    assert worker.wait() == 1
    assert "Redis has not answered for 0 s" in _text(worker.log).splitlines()[-1]


def test_wrong_password_is_one_line_and_exit_2(share: Path, tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path / "redis", options=("--requirepass", "secret")) as locked,
        fleet(share, locked) as crew,
    ):
        worker = crew.start()
        assert worker.wait() == 2
        assert "REDIS_PASSWORD" in _text(worker.log).splitlines()[-1]


def test_password_in_a_file_opens_the_queue(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    with EmbeddedRedis(tmp_path / "redis", options=("--requirepass", "secret")) as locked:
        done = subprocess.run(
            [sys.executable, "-m", "workload", "queue", "status"],
            env={
                **os.environ,
                "WORKLOAD_REDIS_URL": locked.url,
                "REDIS_PASSWORD_FILE": str(tmp_path / "password"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_share_that_cannot_be_written_is_one_line_and_loses_nothing(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    manifest = push_all(queue, share)
    shutil.rmtree(share / "output", ignore_errors=True)
    (share / "output").symlink_to("/proc/nowhere")
    worker = crew.start()
    assert worker.wait() == 2
    assert str(share / "output") in _text(worker.log).splitlines()[-1]
    assert len(queue.client.lrange("datasets", 0, -1)) == DAYS
    (share / "output").unlink()
    assert crew.start().wait() == 0
    assert_whole(share, queue, manifest)


def test_missing_dataset_fails_and_halts_but_is_never_refused(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    queue.client.rpush("datasets", "datasets/training/2018-05-01.pkl")
    worker = crew.start(max_attempts=1)
    assert worker.wait() == 3
    status = queue.status()
    assert status.dead == []
    assert status.halted
    assert "no such file" in status.halted.reason


def _hostile(share: Path) -> dict[str, Callable[[Path], object]]:
    """Return makers of bad datasets by name; good content where only the place is bad."""
    good = share / "datasets/training/2018-04-01.pkl"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, (f"touch {share}/pwned",))

    return {
        "2018-06-01.pkl": lambda path: path.write_bytes(pickle.dumps(Bomb())),
        "2018-06-02.pkl": lambda path: path.write_bytes(good.read_bytes()[:1000]),
        "2018-06-03.pkl": lambda path: path.write_bytes(b""),
        "2018-06-04.pkl": lambda path: path.symlink_to("/etc/passwd"),
        "2018-06-05.pkl": lambda path: path.mkdir(),
        "2018-06-06.pkl": os.mkfifo,
        "notadate.pkl": lambda path: shutil.copy(good, path),
        "2018-06-07.pkl": lambda path: shutil.copy(good, path),
        "2018-06-08.exe": lambda path: shutil.copy(good, path),
    }


def test_hostile_items_are_dead_letters_each_with_a_reason_and_the_others_finish(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    manifest = push_all(queue, share)
    hostile = ["../../etc/passwd", "/etc/passwd", "", "datasets/training/../../../x.pkl"]
    hostile += ["datasets/training/2018-06-09\udcff.pkl", "datasets/\x1b]0;x\n2018-06-10.pkl"]
    for name, make in _hostile(share).items():
        make(share / "datasets/training" / name)
        hostile.append(f"datasets/training/{name}")
    older = "datasets/training/2018-03-01.pkl"
    write_day(share / older, 0, dt.date(2018, 3, 1))
    queue.client.lpush("datasets", *(name.encode("utf-8", "surrogateescape") for name in hostile))
    queue.client.rpush("datasets", older)
    worker = crew.start()
    assert worker.wait() == 3
    assert queue.status().halted is None, worker.log.read_text()
    assert not (share / "pwned").exists()
    letters = {letter.dataset: letter.reason for letter in queue.status().dead}
    assert sorted(letters) == sorted([*hostile, older])
    assert all(reason and "\n" not in reason for reason in letters.values())
    assert "not after 2018-04-05" in letters[older]
    assert "system" in letters["datasets/training/2018-06-01.pkl"]
    assert_whole(share, queue, manifest)


def test_file_that_becomes_visible_late_is_waited_for(tmp_path: Path) -> None:
    hidden, visible = tmp_path / "hidden", tmp_path / "file"
    hidden.write_bytes(b"content")
    pauses: list[float] = []

    def appear(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            hidden.rename(visible)

    share = Share(tmp_path, visibility_seconds=60.0, pause=appear)
    assert share.wait_until_visible("file", visible.read_bytes) == b"content"
    assert len(pauses) == 3


def test_head_checkpoint_that_another_node_sees_late_is_waited_for(
    share: Path, queue: Queue, crew: Fleet, quiet: str
) -> None:
    manifest = push_all(queue, share)
    assert crew.start(Accident("after commit", signal.SIGTERM, time=3)).wait() == 75
    elsewhere = share.parent / "elsewhere"
    (share / "output").rename(elsewhere)
    stale = elsewhere / read_ledger(elsewhere / "ledger.jsonl")[0]["checkpoint_file"]
    (share / "output").mkdir()
    shutil.copy(elsewhere / "ledger.jsonl", share / "output")
    head = read_ledger(elsewhere / "ledger.jsonl")[-1]["checkpoint_file"]
    shutil.copy(stale, share / "output" / head)  # an old content under the right name
    worker = crew.start(visibility_seconds=60)
    until(lambda: "Processing dataset" in _text(worker.log), "it needs the head")
    for path in elsewhere.rglob("*.pkl"):
        target = share / "output" / path.relative_to(elsewhere)
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy(path, target)
    assert worker.wait() == 0
    assert_whole(share, queue, manifest)
    assert last_hash(share) == quiet
    assert {commit.attempts for commit in queue.commits()} == {0}


def test_checkpoint_holds_only_builtins_and_arrays_and_resumes(
    share: Path, queue: Queue, crew: Fleet
) -> None:
    push_all(queue, share)
    assert crew.start().wait() == 0
    content = (share / "output/model_cpt_2018-04-05.pkl").read_bytes()
    tree = pickle.loads(content)
    assert tree["numeric"]["dispatch"].startswith(("x86-64-v2", "native-"))
    assert ChainState.from_bytes(FraudTrainer(), content).record["date"] == "2018-04-05"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""

"""`workload run`: the whole batch through the real command line, and its supervisor."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import math
import os
import pickle
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from examples.energy_load import write_days as write_energy_days
from tests.support.fleet import PATIENCE_SECONDS, until, write_day
from workload.cli import main as cli
from workload.engine import numeric
from workload.engine.checkpoints import load
from workload.engine.ledger import read_ledger
from workload.errors import ExitCode, UsageError, WorkloadError
from workload.local import share_queue as local
from workload.local.redis_server import EmbeddedRedis
from workload.local.supervisor import LEAVE_SECONDS, MAX_REPLACEMENTS, Supervisor
from workload.queue import Claimed, Limits, Queue, RetryPolicy, connect
from workload.share.store import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workload.local.supervisor import RunProgress

    Command = Callable[[str], tuple[int, str, str]]

ROOT = Path(__file__).parents[3]
START = dt.date(2018, 4, 1)
DAYS = [f"datasets/training/2018-04-0{day}.pkl" for day in (1, 2, 3)]
HOSTILE = "datasets/training/2018-04-04.pkl"

OTHER_LEVELS = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2",
}
"""An environment that asks for other arithmetic than the machine's own."""


def environment(**more: str) -> dict[str, str]:
    """Return a user's environment: no pins, no settings, the package on the path."""
    ours = {*numeric.pinned_environment(), "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("WORKLOAD_")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@dataclass(frozen=True)
class Run:
    """A started `workload run`; what it prints is in a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS * 2)

    def pid_of(self, worker: int) -> int:
        """Wait until a worker was started; return its process number."""
        pattern = re.compile(rf"\[worker-{worker}\] started: pid=(\d+)")
        until(lambda: pattern.search(self.text) is not None, f"worker {worker} is started")
        found = pattern.search(self.text)
        assert found
        return int(found.group(1))


@contextmanager
def run(arguments: str, log: Path, **variables: str) -> Iterator[Run]:
    """Start `workload run`; it does not outlive the test."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "workload", "run", *shlex.split(arguments)],
            env=environment(**variables),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Run(process, log)
    finally:
        process.kill()
        process.wait()


def ran(arguments: str, log: Path, **variables: str) -> tuple[int, str]:
    """Return exit code and output of a run without accidents."""
    with run(arguments, log, **variables) as started:
        return started.wait(), started.text


def last_hash(share: Path) -> str:
    """Hash of the last checkpoint, as in the ledger and as on the share."""
    line = read_ledger(share / "output/ledger.jsonl")[-1]
    content = (share / "output" / line["checkpoint_file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == line["checkpoint"]
    return str(line["checkpoint"])


def learned(share: Path) -> list[str]:
    return [line["dataset"] for line in read_ledger(share / "output/ledger.jsonl")]


def forget(share: Path) -> None:
    """Remove what the share's Redis knew: a file, or from version 7 on a directory."""
    (kept,) = (share / ".redis").glob("appendonly*")
    shutil.rmtree(kept) if kept.is_dir() else kept.unlink()


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@dataclass(frozen=True)
class First:
    """What the first run left: a learned share, and what it printed."""

    share: Path
    code: int
    text: str


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """Learn three small days once, however many processes share the tests."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    root = root / "first-run"
    root.mkdir(exist_ok=True)
    share, datasets, result = root / "share", root / "datasets", root / "result.json"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            write_days(datasets)
            line = f"--share {share} --datasets {datasets} --workers 1"
            result.write_text(json.dumps(ran(line, root / "log", **OTHER_LEVELS)))
    code, text = json.loads(result.read_text())
    return First(share, code, text)


def write_days(root: Path) -> None:
    for number, dataset in enumerate(DAYS):
        write_day(root / "training" / Path(dataset).name, number, START)
    write_day(root / "testing/test_dataset.pkl", len(DAYS), START)


@pytest.fixture
def share(first: First, tmp_path: Path) -> Path:
    """Copy the first run's share, with its queue."""
    copy = tmp_path / "share"
    shutil.copytree(first.share, copy)
    return copy


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run one command line in this process: exit code, output, errors."""
    before = dict(os.environ)

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["workload", *shlex.split(line)])
        code = cli.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield call
    os.environ.clear()
    os.environ.update(before)


# --- the real command line ------------------------------------------------------------------------


def test_run_transfers_queues_learns_and_reports(first: First) -> None:
    text = first.text
    assert first.code == 0, text
    for line in (
        "Transferred 4 files from ",
        "Queue length: 3 (3 new of 3 datasets)\n",
        "Queue empty, exiting\n",
        "\nLearned 3 days, ",
        "\nTested on the testing day: average precision ",
        f"\nReport: {first.share}/output/report.html\n",
        f"\nModel:  {first.share}/output/model_cpt_2018-04-03.pkl\n",
        "\nNext: workload score --checkpoint ",
    ):
        assert line in text
    assert "\033[" not in text, "plain lines where there is no terminal"
    assert learned(first.share) == DAYS
    assert "Accuracy on testing data: 0." in (first.share / "output/report.txt").read_text()
    assert "<html" in (first.share / "output/report.html").read_text()
    for dataset in DAYS:
        assert (first.share / f"output/model_cpt_{dataset[18:28]}.pkl").is_file()


def test_second_run_has_nothing_to_learn_and_starts_no_worker(
    command: Command, share: Path
) -> None:
    files = {path: path.stat().st_mtime_ns for path in (share / "output").iterdir()}
    code, out, err = command(f"run --share {share} --datasets {share}/datasets")
    assert (code, err) == (0, "")
    assert f"Transferred 0 files from {share}/datasets, 4 were there\n" in out
    assert "Queue length: 0 (0 new of 3 datasets)\n" in out
    assert "\nNothing new to learn\n" in out
    assert "started: pid=" not in out
    for path, time in files.items():
        assert path.is_dir() or path.stat().st_mtime_ns == time, f"{path} was written again"


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="only x86-64 with glibc has levels to pin",
)
def test_checkpoint_records_that_its_arithmetic_was_pinned(first: First) -> None:
    content = (first.share / "output/model_cpt_2018-04-03.pkl").read_bytes()
    assert load(content, "checkpoint")["numeric"]["dispatch"] == numeric.BASELINE


def test_killed_interrupted_and_resumed_under_other_arithmetic_gives_the_same_model(
    first: First, tmp_path: Path
) -> None:
    datasets, share, trace = tmp_path / "datasets", tmp_path / "share", tmp_path / "pwned"
    shutil.copytree(first.share / "datasets", datasets)
    (datasets / "training" / Path(HOSTILE).name).write_bytes(pickle.dumps(Bomb(trace)))
    line = f"--share {share} --datasets {datasets} --workers 1"

    with run(line, tmp_path / "interrupted.log") as interrupted:
        until(lambda: "Queue length: 4" in interrupted.text, "the datasets are queued")
        url = (share / ".redis/address").read_text()
        foreign = Queue(connect(url), Limits(lease_seconds=3600), RetryPolicy(0.0))
        assert isinstance(foreign.claim(), Claimed), "so the run can't end"
        until(lambda: "Processing dataset" in interrupted.text, "the worker is at work")
        os.kill(interrupted.pid_of(1), signal.SIGKILL)
        interrupted.pid_of(2)
        interrupted.process.send_signal(signal.SIGINT)
        assert interrupted.wait() == 75, interrupted.text
        foreign.close()
    assert "[worker-1] died (killed by SIGKILL), starting another\n" in interrupted.text
    assert "handed back" in interrupted.text
    assert "Traceback" not in interrupted.text
    for worker in (1, 2):
        assert not psutil.pid_exists(interrupted.pid_of(worker))

    with local.reach(share) as url, connect(url) as client:
        for claim in Queue(client).status().claims:
            Queue(client, session=claim.session).hand_back()

    code, text = ran(line, tmp_path / "resumed.log")
    assert code == 3, text
    assert f"\nRefused: {HOSTILE}: " in text
    assert f"\nNext: repair the files, then workload queue rebuild --share {share}\n" in text
    assert not trace.exists()
    assert learned(share) == DAYS
    assert last_hash(share) == last_hash(first.share)


def test_tutorials_files_give_four_checkpoints(tutorial: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    code, text = ran(f"--share {share} --datasets {tutorial} --workers 1", tmp_path / "log")
    assert code == 0, text
    assert sorted(path.name for path in (share / "output").glob("model_cpt_*")) == [
        f"model_cpt_2018-04-0{day}.pkl" for day in (1, 2, 3, 4)
    ]
    report = (share / "output/report.txt").read_text()
    for day in (1, 2, 3, 4):
        assert f"Training dataset: 2018-04-0{day}.pkl\n" in report
    assert report.count("Accuracy on testing data: 0.") == 4


def test_another_trainer_gives_the_same_model_for_any_workers_and_after_a_kill(
    tmp_path: Path,
) -> None:
    datasets = tmp_path / "datasets"
    write_energy_days(datasets, 12)
    own = f"--datasets {datasets} --trainer examples.energy_load:EnergyLoad"
    hashes = []
    for workers in (1, 4):
        share = tmp_path / f"by-{workers}"
        code, text = ran(f"--share {share} {own} --workers {workers}", tmp_path / "log")
        assert code == 0, text
        assert "\nLearned 12 days, 288 rows, " in text
        assert "\nTested on the testing day: mean absolute error " in text
        assert "workload score" not in text
        hashes.append(last_hash(share))

    share = tmp_path / "killed"
    with run(f"--share {share} {own} --workers 2", tmp_path / "killed.log") as killed:
        until(lambda: "Queue length: 12" in killed.text, "the datasets are queued")
        foreign = Queue(
            connect((share / ".redis/address").read_text()), retry_policy=RetryPolicy(0.0)
        )
        assert isinstance(foreign.claim(), Claimed), "so the run can't end"
        at_work = re.compile(r"\[worker-1\] .* Processing dataset")
        until(lambda: at_work.search(killed.text) is not None, "the first worker is at work")
        os.kill(killed.pid_of(1), signal.SIGKILL)
        killed.pid_of(3)
        foreign.hand_back()
        assert killed.wait() == 0, killed.text
    assert "[worker-1] died (killed by SIGKILL), starting another\n" in killed.text
    assert "\nWorkers replaced: 1; " in killed.text
    assert [last_hash(share), *hashes] == [hashes[0]] * 3

    before = sorted(share.rglob("datasets/**/*"))
    for other in ("", "--days 3"):
        code, text = ran(f"--share {share} {other}", tmp_path / "log")
        assert (code, text) == (
            2,
            "workload: trainer 'fraud': the chain has been learned by 'energy-load'; use that "
            "trainer, or another share\n",
        )
    assert sorted(share.rglob("datasets/**/*")) == before, "nothing was simulated or copied"


def test_another_label_than_the_learned_one_is_refused_though_nothing_is_left_to_learn(
    command: Command, share: Path
) -> None:
    code, out, err = command(f"run --share {share} --label TX_FRAUD")
    assert (code, out) == (2, "")
    assert "label 'TX_FRAUD': the chain has learned 'TX_FRAUD_SCENARIO'" in err


def test_only_frauds_are_simulated(command: Command, tmp_path: Path) -> None:
    for days in ("", "--days 3"):
        line = f"run --share {tmp_path / 'new'} --trainer examples.energy_load:EnergyLoad {days}"
        code, _, err = command(line)
        assert code == 2
        assert err.endswith("can be simulated; name your own files with --datasets\n")


# --- the operator's commands after a run ----------------------------------------------------------


def test_status_after_a_run_for_people_and_for_machines(command: Command, share: Path) -> None:
    code, out, err = command(f"queue status --share {share}")
    assert (code, err) == (0, "")
    assert out == (
        "waiting     0\nprocessing  0\ncommitted   3\ndead        0\n"
        "head        datasets/training/2018-04-03.pkl\n"
    )
    code, out, _ = command(f"queue status --json --share {share}")
    assert json.loads(out) == {
        "waiting": 0,
        "committed": 3,
        "processing": [],
        "dead": [],
        "head": {"dataset": DAYS[2], "date": "2018-04-03", "checkpoint": last_hash(share)},
        "halted": None,
    }
    assert command(f"queue dead --share {share}") == (0, "no dead letters\n", "")


def test_push_and_skip_after_a_run(command: Command, share: Path) -> None:
    new = "datasets/training/2018-04-05.pkl"
    code, out, err = command(f"queue push {new} --share {share}")
    assert (code, out) == (2, "")
    assert f"{new}: no such file below the share" in err
    shutil.copy(share / DAYS[0], share / new)
    assert command(f"queue push {new} {DAYS[0]} --share {share}") == (
        0,
        f"{new}\n{DAYS[0]} (not pushed: already committed)\nQueue length: 1\n",
        "",
    )
    assert command(f"queue push {new} --share {share}")[1].startswith(
        f"{new} (not pushed: already queued)"
    )
    assert command(f"queue skip ./{new} --share {share}")[:2] == (
        0,
        f"./{new}: skipped; `workload queue rebuild --share {share}` readmits it\n",
    )
    assert command(f"queue dead --share {share}")[1] == (
        f"{new}: skipped: skipped by an operator\n"
    )
    assert command(f"queue push {new} --share {share}")[1].startswith(f"{new} (not pushed: skipped")
    code, out, err = command(f"queue skip {DAYS[0]} --share {share}")
    assert (code, out) == (2, "")
    assert f"{DAYS[0]}: neither waiting nor in progress" in err


def test_dataset_named_twice_is_pushed_once_and_said_so(command: Command, share: Path) -> None:
    new = "datasets/training/2018-04-05.pkl"
    shutil.copy(share / DAYS[0], share / new)
    assert command(f"queue push {new} {share / new} --share {share}")[1] == (
        f"{new}\n{new} (not pushed: already queued)\nQueue length: 1\n"
    )


def test_rebuild_after_a_run_keeps_the_chain_without_redis_and_ledger(
    command: Command, share: Path
) -> None:
    forget(share)
    (share / "output/ledger.jsonl").unlink()
    (share / "datasets/training/notadate.pkl").write_bytes(b"")
    code, out, err = command(f"queue rebuild --share {share}")
    assert (code, err) == (0, "")
    assert out.startswith("kept 3 learned, queued 0, refused 1\n")
    assert "datasets/training/notadate.pkl: refused: the name 'notadate' is not a date" in out
    assert learned(share) == DAYS
    assert json.loads(command(f"queue status --json --share {share}")[1])["committed"] == 3


def test_run_without_its_redis_continues_from_the_ledger(command: Command, share: Path) -> None:
    shutil.rmtree(share / ".redis")
    code, out, err = command(f"run --share {share}")
    assert (code, err) == (0, "")
    assert "Queue length: 0 (0 new of 3 datasets)\n" in out
    assert "Nothing new to learn" in out


def test_report_is_written_again_from_the_ledger(command: Command, share: Path) -> None:
    before = (share / "output/report.txt").read_text()
    for name in ("report.txt", "report.html"):
        (share / "output" / name).unlink()
    code, out, err = command(f"report --share {share}")
    assert (code, err) == (0, "")
    assert out == f"{share}/output/report.txt\n{share}/output/report.html\n"
    undated = re.compile(r"generated on: .*")
    after = (share / "output/report.txt").read_text()
    assert undated.sub("", after) == undated.sub("", before)


def test_score_of_the_testing_day_after_a_run(command: Command, share: Path) -> None:
    out = share / "scores.csv"
    model, dataset = (
        share / "output/model_cpt_2018-04-03.pkl",
        share / "datasets/testing/test_dataset.pkl",
    )
    code, text, err = command(f"score --checkpoint {model} --dataset {dataset} --out {out}")
    assert (code, err) == (0, "")
    rows = len(out.read_text().splitlines()) - 1
    assert text == f"{rows} transactions scored: {out}\n"


# --- the supervisor, with stand-ins for its workers -----------------------------------------------


@dataclass
class Lines:
    """A display that remembers, and may act."""

    shown: list[str] = field(default_factory=list)
    on_update: Callable[[], None] = lambda: None

    def line(self, text: str) -> None:
        self.shown.append(text)

    def update(self, _progress: RunProgress) -> None:
        self.on_update()

    @property
    def text(self) -> str:
        return "\n".join(self.shown)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have a shell script started in place of every worker."""
    started: list[subprocess.Popen[str]] = []

    def install(script: str) -> None:
        def start(_command: list[str], **options: Any) -> subprocess.Popen[str]:
            started.append(subprocess.Popen(["sh", "-c", script], **options))
            return started[-1]

        replaced = SimpleNamespace(**vars(subprocess) | {"Popen": start})
        monkeypatch.setattr("workload.local.supervisor.subprocess", replaced)

    yield install
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[tuple[Supervisor, Lines, EmbeddedRedis]]:
    root = tmp_path / "share"
    write_day(root / DAYS[0], 0, START)
    display = Lines()
    with EmbeddedRedis(tmp_path / "redis") as server:
        share = Share(root, visibility_seconds=0.0)
        yield Supervisor(share, 2, display, "fraud", server), display, server


def test_workers_that_keep_dying_are_replaced_only_so_often(
    stand_in: Callable[[str], None], supervised: tuple[Supervisor, Lines, EmbeddedRedis]
) -> None:
    supervisor, display, server = supervised
    stand_in("kill -9 $$")
    with pytest.raises(WorkloadError, match=r"killed by SIGKILL.*nothing is lost") as caught:
        supervisor.run()
    assert caught.value.exit_code == ExitCode.FAILED
    assert display.text.count("started: pid=") == 2 + MAX_REPLACEMENTS
    assert display.text.count("died (killed by SIGKILL), starting another") == MAX_REPLACEMENTS
    with connect(server.url) as client:
        assert Queue(client).status().waiting == 1


@pytest.mark.parametrize(("code", "error"), [(1, WorkloadError), (2, UsageError)])
def test_worker_that_gives_up_ends_the_run_and_its_last_line_is_shown(
    code: int,
    error: type[WorkloadError],
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
) -> None:
    supervisor, display, _ = supervised
    stand_in(f"echo the reason; exit {code}")
    with pytest.raises(error, match="gave up, its last line says why") as caught:
        supervisor.run()
    assert caught.value.exit_code == code
    assert display.text.count("started: pid=") == 2, "it is not replaced"
    assert "] the reason" in display.text


def test_workers_get_the_runs_own_settings_and_no_foreign_password(
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor, display, server = supervised
    monkeypatch.setenv("REDIS_PASSWORD", "of another Redis")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", "/elsewhere/password")
    monkeypatch.setenv("WORKLOAD_REDIS_URL", "redis://elsewhere")
    monkeypatch.setenv("WORKLOAD_SHARE", "/elsewhere")
    monkeypatch.setenv("WORKLOAD_LEASE_SECONDS", "30")
    stand_in("env; exit 0")
    supervisor.run()
    expected = {
        "WORKLOAD_REDIS_URL": server.url,
        "WORKLOAD_SHARE": str(supervisor.share.root),
        "WORKLOAD_LEASE_SECONDS": "30",
        **numeric.pinned_environment(),
    }
    for name, value in expected.items():
        assert f"[worker-1] {name}={value}" in display.shown
    assert "REDIS_PASSWORD" not in display.text


def test_redis_that_dies_is_started_again_and_the_run_continues(
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
    tmp_path: Path,
) -> None:
    supervisor, display, server = supervised
    stand_in(f"while [ ! -e {tmp_path}/end ]; do sleep 0.01; done")

    def kill() -> None:
        with connect(server.url) as client:
            redis: Any = psutil.Process(client.info("server")["process_id"])
        redis.kill()
        until(lambda: not redis.is_running(), "it is gone")
        display.on_update = (tmp_path / "end").touch

    display.on_update = kill
    outcome = supervisor.run()
    assert "Redis died and was started again" in display.shown
    assert outcome.status.waiting == 1, "what was queued before is still there"


def test_run_whose_redis_forgot_the_queue_says_so_and_is_incomplete(
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
    tmp_path: Path,
) -> None:
    supervisor, display, server = supervised
    stand_in(f"while [ ! -e {tmp_path}/end ]; do sleep 0.01; done")

    def forget() -> None:
        with connect(server.url) as client:
            client.flushall()
        (tmp_path / "end").touch()

    display.on_update = forget
    assert supervisor.run().exit_code == ExitCode.INCOMPLETE
    assert "1 datasets are not learned; the same command does that" in display.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_are_told_to_hand_back_and_waited_for_when_the_run_is_stopped(
    number: signal.Signals,
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
    tmp_path: Path,
) -> None:
    supervisor, display, _ = supervised
    stand_in(f"trap 'echo $$ >> {tmp_path}/ended; exit 75' TERM; echo on; read _")
    before = signal.getsignal(number)

    def stop() -> None:
        if display.text.count("] on") == 2:
            os.kill(os.getpid(), number)

    display.on_update = stop
    with pytest.raises(WorkloadError, match="handed back") as caught:
        supervisor.run()
    assert caught.value.exit_code == ExitCode.HANDED_BACK
    assert len((tmp_path / "ended").read_text().split()) == 2
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("hung", ["stopped", "deaf"])
def test_a_worker_that_never_leaves_is_ended_when_nothing_is_left_and_the_queue_decides(
    hung: str,
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor, display, server = supervised
    now, drained_at = [0.0], [math.inf]
    supervisor.workers, supervisor.clock = 1, lambda: now[0]
    trap = f"echo > {tmp_path}/handed-back; exit 75" if hung == "stopped" else ""
    stand_in(f"trap '{trap}' TERM; echo on; while :; do sleep 0.01; done")
    if hung == "deaf":
        monkeypatch.setattr("workload.local.supervisor._HAND_BACK_SECONDS", 0.0)

    def advance() -> None:
        now[0] += LEAVE_SECONDS / 2
        assert now[0] < drained_at[0] + 9 * LEAVE_SECONDS, "it is waited for without an end"
        pid = re.search(r"started: pid=(\d+)", display.text)
        if drained_at[0] == math.inf and pid and "] on" in display.text:
            with connect(server.url) as client:
                assert Queue(client).skip(DAYS[0], "by this test")
            drained_at[0] = now[0]
            if hung == "stopped":
                os.kill(int(pid[1]), signal.SIGSTOP)

    display.on_update = advance
    outcome = supervisor.run()
    assert outcome.exit_code == ExitCode.INCOMPLETE, "for the dataset that was skipped"
    assert now[0] >= drained_at[0] + LEAVE_SECONDS, "it had time to leave"
    ended = [line for line in display.shown if "is stopped or hangs" in line]
    assert len(ended) == 1
    assert re.fullmatch(r"\[worker-1\] .*: ending it, pid=\d+", ended[0])
    assert (tmp_path / "handed-back").exists() == (hung == "stopped")


def test_a_worker_that_a_real_time_signal_killed_is_replaced_and_the_signal_named(
    stand_in: Callable[[str], None],
    supervised: tuple[Supervisor, Lines, EmbeddedRedis],
) -> None:
    supervisor, display, _ = supervised
    stand_in("kill -35 $$")
    with pytest.raises(WorkloadError, match="killed by signal 35"):
        supervisor.run()
    assert "] died (killed by signal 35), starting another" in display.text

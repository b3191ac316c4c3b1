"""Trainers of one's own: found by their import path, checked, never mixed, reported by name."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from examples.energy_load import WEEK, EnergyLoad, Forecaster, write_days
from tests.support import odd_trainers
from tests.support.fleet import fleet, write_day
from workload.cli import main as cli
from workload.engine.chain import ChainState, Dataset, read, train
from workload.engine.checkpoints import CheckpointStore, load
from workload.engine.ledger import LEDGER_FILE, read_ledger
from workload.engine.reconcile import rebuild
from workload.engine.reporting import rewrite_report
from workload.engine.trainer_check import learn as learn_days
from workload.errors import DatasetRefused, ExitCode, UsageError
from workload.fraud.trainer import FraudTrainer
from workload.share.dataset_file import DatasetFile, name_date
from workload.share.store import Share
from workload.trainers import loading
from workload.trainers.identity import FIELDS
from workload.trainers.protocol import Trained

if TYPE_CHECKING:
    from workload.local.redis_server import EmbeddedRedis
    from workload.queue import Queue

ROOT = Path(__file__).parents[3]
SPEC = "examples.energy_load:EnergyLoad"
DAYS = 12


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return twelve days of load and a testing day; they are copied, never written."""
    root = tmp_path_factory.mktemp("energy")
    write_days(root / "datasets", DAYS)
    return root


@pytest.fixture
def share(tmp_path: Path, datasets: Path) -> Path:
    root = tmp_path / "share"
    shutil.copytree(datasets, root)
    return root


def names(share: Path) -> list[str]:
    folder = share / "datasets/training"
    return [f"datasets/training/{path.name}" for path in sorted(folder.iterdir())]


def learn(
    share: Path, server: EmbeddedRedis, trainer: str, *, code: int = 0, **settings: object
) -> str:
    """Run one worker; return its log."""
    with fleet(share, server) as crew:
        worker = crew.start(trainer=trainer, write_report="true", **settings)  # type: ignore[arg-type]
        assert worker.wait() == code, worker.log.read_text()
        return worker.log.read_text()


def chain(
    datasets: Path, trainer: Any = None, days: int = DAYS
) -> list[tuple[ChainState[Any], bytes]]:
    trainer = trainer or EnergyLoad()
    points: list[tuple[ChainState[Any], bytes]] = []
    point = ChainState.start(trainer)
    for path in sorted((datasets / "datasets/training").iterdir())[:days]:
        point, content = train(trainer, point, read(trainer, path, date=name_date(path)))
        points.append((point, content))
    return points


# --- found by its import path, or one line --------------------------------------------------------


@pytest.mark.parametrize(
    ("trainer", "why"),
    [
        ("", "no such trainer; allowed are fraud, or the import path of your own"),
        ("Fraud", "no such trainer"),
        ("energy_load.py", "no such trainer"),
        ("a:b:c", "no such trainer"),
        ("os:system('true')", "no such trainer"),
        ("there.is.none:Such", "can't be loaded (ModuleNotFoundError"),
        ("examples.energy_load:Other", "can't be loaded (AttributeError"),
        (
            "tests.support.odd_trainers:Explodes",
            "can't be loaded (OSError: no such file: weights.bin)",
        ),
        (
            "tests.support.odd_trainers:LeavesAtOnce",
            "can't be loaded (the trainer called sys.exit(0))",
        ),
        (
            "tests.support.odd_trainers:Incomplete",
            "it has no method start, train, evaluate, save, load",
        ),
        (
            "tests.support.odd_trainers:Named",
            "its name 'Has Spaces' must be 1 to 40 lower-case letters",
        ),
        ("tests.support.odd_trainers:Impostor", "its name 'fraud' must be"),
        (
            "tests.support.odd_trainers:NoHeadline",
            "its headline () must be a tuple of names of metrics",
        ),
        (
            "tests.support.odd_trainers:OddOptions",
            "its options {'horizon': 24} must be a dict of text",
        ),
        ("fraud?lable=x", "unknown option lable; allowed are label"),
        ("fraud?label", "the options are not to be read; write fraud?name=value"),
        ("fraud?label=x&label=y", "the options are not to be read"),
        ("fraud?", "the options are not to be read"),
        ("examples.energy_load:EnergyLoad?a=b", "unknown option a; allowed are none"),
        ("tests.support.odd_trainers:INSTANCE?a=b", "do not hold a, which the chain must record"),
        ("tests.support.odd_trainers:Silent?season=7", "do not hold season"),
        ("tests.support.older_files:Mine", "it is workload.share.dataset_file now"),
    ],
)
def test_what_is_no_trainer_is_one_line_that_says_why(trainer: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        loading.load(trainer)
    message = str(caught.value)
    assert message.startswith(f"trainer {trainer!r}: ")
    assert why in message
    assert "\n" not in message
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_trainer_may_be_an_object_or_a_class_without_arguments() -> None:
    assert loading.load("tests.support.odd_trainers:INSTANCE") is odd_trainers.INSTANCE
    assert loading.load(SPEC).name == loading.name_of(SPEC) == "energy-load"


def test_a_trainer_gets_its_options_and_the_chain_records_them(datasets: Path) -> None:
    trainer = loading.load("tests.support.odd_trainers:Seasonal?season=7&name%5F=a%26b")
    assert trainer.options == {"season": "7", "name_": "a&b"}
    _, content = chain(datasets, trainer, days=1)[0]
    assert load(content, "")["record"]["options"] == {"season": "7", "name_": "a&b"}
    second = sorted((datasets / "datasets/training").iterdir())[1]
    other = loading.load("tests.support.odd_trainers:Seasonal?season=8&name_=a%26b")
    with pytest.raises(UsageError, match="season '8': the chain has learned '7'"):
        train(other, ChainState.from_bytes(other, content), read(other, second))


def test_an_unknown_option_of_a_built_in_trainer_is_refused_without_its_import() -> None:
    assert tuple(inspect.signature(FraudTrainer).parameters) == loading._OPTIONS["fraud"]
    with pytest.raises(UsageError, match="unknown option lable; allowed are label"):
        loading.name_of("fraud?lable=x")


def test_a_trainer_written_for_the_earlier_names_works_unchanged(datasets: Path) -> None:
    earlier = loading.load("tests.support.older_trainer:Mine")
    hashes = [state.checkpoint for state, _ in chain(datasets, earlier)]
    assert hashes == [state.checkpoint for state, _ in chain(datasets)]


def test_options_are_added_to_a_setting_once() -> None:
    added = loading.with_options("fraud", {"label": "TX FRAUD&"})
    assert loading.parsed(added) == ("fraud", {"label": "TX FRAUD&"})
    assert loading.with_options(added, {"label": "TX FRAUD&"}) == added
    with pytest.raises(UsageError, match="name it once"):
        loading.with_options(added, {"label": "TX_FRAUD"})


def test_the_default_has_the_label_of_the_settings_and_is_known_without_an_import() -> None:
    assert loading.load("fraud").options == {"label": "TX_FRAUD_SCENARIO"}
    trainer = loading.load("fraud?label=TX_FRAUD")
    assert (trainer.name, trainer.options) == ("fraud", {"label": "TX_FRAUD"})
    script = (
        "import sys; from workload.trainers.loading import name_of; "
        "assert name_of('fraud') == 'fraud'; "
        "sys.exit(any(name.startswith(('sklearn', 'numpy')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT).returncode == 0


def test_a_module_in_the_current_directory_is_found_and_takes_no_one_elses_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text("from examples.energy_load import EnergyLoad as Mine\n")
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken for NumPy')\n")
    line = [sys.executable, "-P", "-c"]
    script = "from workload.trainers.loading import load; print(load('mine:Mine').name)"
    done = subprocess.run(
        [*line, script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("energy-load\n", 0), done.stderr


def test_a_worker_without_a_trainer_claims_nothing(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share))
    log = learn(share, server, "there.is.none:Such", code=2)
    assert "trainer 'there.is.none:Such': can't be loaded" in log
    assert "Processing dataset" not in log
    assert "Traceback" not in log
    status = queue.status()
    assert (status.waiting, status.claims) == (DAYS, [])


# --- one chain, one trainer -----------------------------------------------------------------------


def test_a_chain_of_another_trainer_is_refused_in_one_line_before_anything_is_claimed(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    first, *rest = names(share)
    queue.push([first])
    learn(share, server, SPEC)
    queue.push(rest)
    log = learn(share, server, "fraud", code=2)
    assert log.splitlines()[-1].endswith(
        "trainer 'fraud': the chain has been learned by 'energy-load'; use that trainer, or "
        "another share"
    )
    assert log.count("Processing dataset") == 1
    assert queue.status().waiting == len(rest)
    assert [line["dataset"] for line in read_ledger(share / "output" / LEDGER_FILE)] == [first]


@pytest.mark.parametrize("ledger", ["there", "lost, but Redis knows"])
def test_a_run_on_a_chain_of_another_trainer_ends_before_anything_is_queued(
    share: Path, tmp_path: Path, ledger: str
) -> None:
    cards = tmp_path / "cards"
    (cards / "training").mkdir(parents=True)
    write_day(cards / "training/2024-02-01.pkl", 0, dt.date(2024, 2, 1))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workload", "run", "--share", share, "--workers=1", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("--trainer", SPEC).returncode == 0
    if ledger != "there":
        (share / "output" / LEDGER_FILE).unlink()
    before = names(share)
    other = run("--datasets", str(cards))
    assert other.returncode == 2, other
    assert ledger != "there" or names(share) == before
    assert other.stderr.count("learned by 'energy-load'") == 1
    assert "Queue length" not in other.stdout + other.stderr


def test_a_worker_that_started_before_the_chain_did_does_not_mix_either(datasets: Path) -> None:
    point, content = chain(datasets, days=1)[0]
    with pytest.raises(UsageError, match="checkpoint of x: a checkpoint of the trainer 'energy-"):
        ChainState.from_bytes(FraudTrainer(), content, "checkpoint of x")
    trainer: Any = FraudTrainer()
    day = Dataset("2024-01-02.csv", "", EnergyLoad().prepare(file(rows())))
    with pytest.raises(UsageError, match="learned by 'energy-load'"):
        train(trainer, point, day)


def test_options_must_stay_the_same_along_a_chain(datasets: Path) -> None:
    class Other(EnergyLoad):
        options = {"grid": "north"}  # noqa: RUF012

    point, _ = chain(datasets, Other(), days=1)[0]
    assert point.record["options"] == {"grid": "north"}
    Other.options = {"grid": "south"}
    day = Dataset("2024-01-02.csv", "", EnergyLoad().prepare(file(rows())))
    with pytest.raises(UsageError, match="grid 'south': the chain has learned 'north'; use that"):
        train(Other(), point, day)


def test_a_rebuild_with_another_trainer_withdraws_nothing(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share))
    learn(share, server, SPEC)
    before = sorted((share / "output").glob("model_cpt_*"))
    with pytest.raises(UsageError, match="learned by 'energy-load'"):
        rebuild(queue, Share(share), FraudTrainer())
    assert sorted((share / "output").glob("model_cpt_*")) == before
    queue.client.flushall()
    (share / "output" / LEDGER_FILE).unlink()
    assert rebuild(queue, Share(share), EnergyLoad()).kept == names(share)


def test_every_record_names_its_trainer_headline_and_options(tmp_path: Path) -> None:
    trainer = FraudTrainer()
    path = write_day(tmp_path / "2018-04-01.pkl", 0, dt.date(2018, 4, 1))
    point, content = train(trainer, ChainState.start(trainer), read(trainer, path))
    assert {field: point.record[field] for field in FIELDS} == {
        "trainer": "fraud",
        "headline": ["frauds", "average_precision"],
        "options": {"label": "TX_FRAUD_SCENARIO"},
    }
    assert sorted(load(content, "")) == ["format", "learner", "numeric", "record", "state"]


def test_a_trainer_that_uses_a_name_of_the_chains_is_told_so(datasets: Path) -> None:
    class Greedy(EnergyLoad):
        def save(self, model: Forecaster) -> dict[str, object]:
            return {**super().save(model), "record": 1}

    class Chatty(EnergyLoad):
        def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
            return Trained(model, {}, {"rows": data.rows, "sha256": ""})

    for trainer, taken in ((Greedy(), "record"), (Chatty(), "rows, sha256")):
        with pytest.raises(ValueError, match=f"the trainer uses {taken}, which the chain"):
            chain(datasets, trainer, days=1)


def test_rows_of_another_day_than_the_name_promises_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "2024-01-09.csv"
    path.write_bytes(rows())
    with pytest.raises(DatasetRefused, match="of 2024-01-02, the name promises 2024-01-09"):
        read(EnergyLoad(), path, date=name_date(path))


@pytest.mark.parametrize("command", ["score", "evaluate"])
def test_commands_for_frauds_say_in_one_line_that_a_chain_is_of_another_trainer(
    command: str,
    share: Path,
    queue: Queue,
    server: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue.push(names(share)[:1])
    learn(share, server, SPEC)
    checkpoint, dataset = share / "output/model_cpt_2024-01-01.pkl", share / names(share)[1]
    arguments = {
        "score": f"--checkpoint {checkpoint} --dataset {dataset} --out {share}/scores.csv",
        "evaluate": f"--datasets {share} --protocol prequential",
    }
    monkeypatch.setattr(sys, "argv", ["workload", command, *arguments[command].split()])
    assert cli.run() == ExitCode.USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert "trainer 'energy-load'" in line
    assert "fraud" in line


# --- the example ----------------------------------------------------------------------------------


def rows(**changes: str) -> bytes:
    """Return a day's file; each change replaces a text everywhere."""
    text = "time,load_mw\n" + "".join(f"2024-01-02 {hour:02}:00,{hour}.5\n" for hour in range(24))
    for old, new in changes.items():
        text = text.replace(old.replace("_at_", " "), new)
    return text.encode()


def file(content: bytes, name: str = "2024-01-02.csv") -> DatasetFile:
    return DatasetFile(name, name_date(name), content, "")


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"\x80\x04N.", "2024-01-02.pkl", "only .csv is read"),
        (b"\xff\xfe\x00", "2024-01-02.csv", "needs the columns time and load_mw"),
        (b"a,b\n1,2\n", "2024-01-02.csv", "needs the columns time and load_mw"),
        (b"time,load_mw\n", "2024-01-02.csv", "a row for each hour"),
        (rows()[: rows().rindex(b"2024")], "2024-01-02.csv", "a row for each hour"),
        (rows(**{"23.5": ""}), "2024-01-02.csv", "missing or not finite"),
        (rows(**{"23.5": "inf"}), "2024-01-02.csv", "missing or not finite"),
        (rows(**{"23.5": "much"}), "2024-01-02.csv", "needs the columns time and load_mw"),
        (rows(**{"02_at_23": "03 23"}), "2024-01-02.csv", "a row for each hour of one day"),
        (rows(**{"2024": "year"}), "2024-01-02.csv", "needs the columns time and load_mw"),
    ],
)
def test_example_refuses_a_bad_file_in_one_line(content: bytes, name: str, why: str) -> None:
    with pytest.raises(DatasetRefused, match=why) as caught:
        EnergyLoad().prepare(file(content, name))
    assert "\n" not in str(caught.value)


def test_example_forecasts_better_than_last_week_once_it_has_learned(datasets: Path) -> None:
    tests = [point.record["metrics"]["next_day"] for point, _ in chain(datasets)]
    assert tests[0] is None
    assert all(test["mean_absolute_error"] is None for test in tests[1 : WEEK + 1])
    ours = [test["mean_absolute_error"] for test in tests[WEEK + 1 :]]
    theirs = [test["error_of_last_week"] for test in tests[WEEK + 1 :]]
    assert np.mean(ours) < np.mean(theirs)


def test_example_resumes_from_any_checkpoint_bit_for_bit(datasets: Path) -> None:
    trainer, points = EnergyLoad(), chain(datasets)
    paths = sorted((datasets / "datasets/training").iterdir())
    for (_, content), (after, expected), path in zip(points, points[1:], paths[1:], strict=False):
        point, again = train(
            trainer,
            ChainState.from_bytes(trainer, content),
            read(trainer, path, date=name_date(path)),
        )
        assert again == expected
        assert point.record == after.record


def test_example_refuses_sums_of_another_version_in_one_line(datasets: Path) -> None:
    class Older(EnergyLoad):
        def save(self, model: Forecaster) -> dict[str, object]:
            return {**super().save(model), "gram": np.zeros((2, 2))}

    [(_, content)] = chain(datasets, Older(), days=1)
    with pytest.raises(ValueError, match=r"^that: sums of 2 numbers; this version has 3$"):
        ChainState.from_bytes(EnergyLoad(), content, "that")


# --- the report -----------------------------------------------------------------------------------


def test_report_shows_the_trainers_metrics_by_name_and_nothing_of_frauds(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push([*names(share), "datasets/training/nonsense.csv"])
    log = learn(share, server, SPEC, code=3)
    assert "rows=24 mean_absolute_error=" in log
    text = (share / "output/report.txt").read_text()
    page = (share / "output/report.html").read_text()
    for shown in ("energy-load", "nonsense.csv", "2024-01-12.csv"):
        assert shown in text
        assert shown in page
    assert text.count("Report generated on: ") == DAYS
    assert "Datasets learned: 12\nRows: 288\nNext-day tests: 11\n" in text
    assert "  mean_absolute_error, mean of 4 days: " in text
    assert "mean absolute error" in page
    assert "12 checkpoints, each trained from the one before" in page
    for word in ("fraud", "card", "precision", "transaction", "accuracy"):
        assert word not in text.lower()
        assert word not in page.partition("</style>")[2].lower()
    HTMLParser().feed(page)
    assert rewrite_report(share) == (share / "output/report.txt", share / "output/report.html")


def test_share_on_which_everything_was_refused_has_the_report_of_its_trainer(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(["datasets/training/nonsense.csv"])
    learn(share, server, SPEC, code=3)
    assert "fraud" not in (share / "output/report.txt").read_text().lower()


# --- processes that a trainer starts and ends -----------------------------------------------------


def test_a_trainer_may_end_the_processes_that_it_forks_and_keeps_its_lease(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share)[:3])
    log = learn(share, server, "tests.support.odd_trainers:Helped")
    assert "Lease lost" not in log
    assert "failed" not in log
    assert queue.status().committed == 3


def test_a_trainer_that_exits_is_a_failed_attempt_and_halts_the_chain(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share)[:1])
    odd = "tests.support.odd_trainers:Leaver"
    log = learn(share, server, odd, code=3, max_attempts=2, lease_seconds=0.5, renew_seconds=0.1)
    halted = queue.status().halted
    assert halted
    assert halted.reason == "the trainer called sys.exit('no more of this')"
    assert log.count("Dataset failed: ") == 2


@pytest.mark.parametrize("trainer", ["Disloyal", "Faithless"])
def test_leases_that_are_lost_again_and_again_are_failed_attempts_and_halt_the_chain(
    trainer: str, share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share)[:1])
    odd = f"tests.support.odd_trainers:{trainer}"
    log = learn(share, server, odd, code=3, max_attempts=2, lease_seconds=0.5, renew_seconds=0.1)
    halted = queue.status().halted
    assert halted
    assert halted.reason.startswith("its lease was lost 3 times in a row although Redis answered")
    assert log.count(".csv reason=its lease was lost 3 times in a row") == 2 + 1, "and the halt"


# --- numbers of NumPy, and what no ledger holds ---------------------------------------------------


def strictly(line: str) -> dict[str, Any]:
    """Read JSON as others do, which has no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    record: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return record


def test_numbers_of_numpy_are_numbers_and_what_is_not_finite_is_null_in_the_ledger(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share)[:2])
    odd = "tests.support.odd_trainers:Numeric"
    log = learn(share, server, odd)
    assert "mean_absolute_error=n/a" in log
    ledger = share / "output" / LEDGER_FILE

    def check() -> None:
        for line in map(strictly, ledger.read_text().splitlines()):
            assert line["metrics"]["training"] == {
                "mean_absolute_error": None,
                "ratio": None,
                "count": 24,
                "good": True,
            }
            assert (line["mean"], line["best"]) == (0.5, [{"hour": 7}])

    check()
    assert "mean_absolute_error: n/a\n" in (share / "output/report.txt").read_text()
    ledger.unlink()
    queue.client.flushall()
    rebuild(queue, Share(share), loading.load(odd))
    check()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("array", "ValueError: best.0.hours: the ledger can't hold ndarray; allowed among metrics"),
        ("date", "TypeError: record.best.0.day: numpy.datetime64 has no canonical form; allowed"),
    ],
)
def test_what_no_ledger_holds_is_named_with_its_place(
    kind: str, why: str, share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    odd = f"tests.support.odd_trainers:Numeric?kind={kind}"
    assert checked(odd, share).stderr.startswith(f"workload: 2024-01-01.csv: {why}")
    queue.push(names(share)[:1])
    learn(share, server, odd, code=3, max_attempts=1)
    halted = queue.status().halted
    assert halted
    assert halted.reason.startswith(why)


# --- the checker ----------------------------------------------------------------------------------


def checked(trainer: str, datasets: Path) -> subprocess.CompletedProcess[str]:
    """Check as a user does it: with its arithmetic pinned, unlike that of a test."""
    return subprocess.run(
        [sys.executable, "-m", "workload", "trainer", "check", trainer, "--datasets", datasets],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("trainer", "why"),
    [
        ("Forgetful", "2024-01-09.csv: not the same when each checkpoint is saved and loaded"),
        ("Unordered", "2024-01-01.csv: not the same in another process"),
        ("Meddler", "2024-01-01.csv: the model before it is not left as it was"),
        ("Flattering", "2024-01-08.csv: `train` tests the model before it, and differs from"),
        ("Leaver", "2024-01-01.csv: the trainer called sys.exit('no more of this')"),
        ("Failing", "2024-01-01.csv: KeyError: 'no Forecaster"),
        ("LeavesElsewhere", "in another process: killed by signal 35"),
    ],
)
def test_checker_names_the_first_day_on_which_a_trainer_breaks_its_promise(
    trainer: str, why: str, datasets: Path
) -> None:
    done = checked(f"tests.support.odd_trainers:{trainer}", datasets)
    [line] = done.stderr.splitlines()
    assert line.startswith(f"workload: {why}")
    assert (done.returncode, done.stdout) == (ExitCode.FAILED, "")


def test_checker_takes_nothing_that_a_trainer_prints_for_its_answer(datasets: Path) -> None:
    done = checked("tests.support.odd_trainers:Talkative", datasets)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "\n12 checkpoints, the same in another process and from each checkpoint on; refused: 0\n"
    ) in done.stdout
    assert done.stdout.count("from a process\n") == DAYS, "what it prints is shown, once"


def test_checker_learns_what_a_worker_learns(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    (share / "datasets/training/2024-01-13.csv").write_text("nonsense\n")
    done = checked(SPEC, share)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "2024-01-13.csv: refused: needs the columns time and load_mw, dates and numbers\n"
        "12 checkpoints, the same in another process and from each checkpoint on; refused: 1\n"
    )
    queue.push(names(share))
    learn(share, server, SPEC, code=3)
    lines = read_ledger(share / "output" / LEDGER_FILE)
    kept = learn_days(EnergyLoad(), share)
    assert list(kept.hashes) == [Path(line["dataset"]).name for line in lines]
    assert kept.refused == {Path(each.dataset).name: each.reason for each in queue.status().dead}


# --- the ledger says whose it is ------------------------------------------------------------------


def test_a_workers_ledger_line_of_another_trainer_names_it_and_what_matters(
    share: Path, queue: Queue, server: EmbeddedRedis
) -> None:
    queue.push(names(share)[:1])
    learn(share, server, SPEC)
    [line] = (share / "output" / LEDGER_FILE).read_text().splitlines()
    record = json.loads(line)
    assert record["trainer"] == "energy-load"
    assert record["headline"] == ["mean_absolute_error"]
    content = CheckpointStore(Share(share)).read(record["checkpoint"], record["dataset"])
    assert load(content, "")["record"]["trainer"] == "energy-load"

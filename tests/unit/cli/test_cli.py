"""The command line: help with an example, one line for every mistake, exit codes."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import typer

from tests.support.fleet import until, write_day
from workload import __version__
from workload.cli import main as cli
from workload.errors import ExitCode, HandedBack, QueueUnavailable
from workload.local import share_queue as local
from workload.queue import Queue, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[[str], tuple[int, str, str]]

ROOT = Path(__file__).parents[3]


def commands() -> dict[str, Any]:
    """Every command by the words that start it."""
    found: dict[str, Any] = {}

    def walk(words: str, command: Any) -> None:
        found[words] = command
        for name, child in getattr(command, "commands", {}).items():
            walk(f"{words} {name}".strip(), child)

    walk("", typer.main.get_command(cli.app))
    return found


COMMANDS = commands()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run one command line in this process: exit code, output, errors."""
    before = dict(os.environ)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("REDIS_PASSWORD", *(each for each in before if each.startswith("WORKLOAD_"))):
        monkeypatch.delenv(name, raising=False)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["workload", *shlex.split(line)])
        code = cli.run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    os.environ.clear()
    os.environ.update(before)


def assert_one_line(text: str) -> None:
    assert re.fullmatch(r"workload: [^\n]+\n", text), text
    assert "Traceback" not in text


def test_the_commands_are_those_of_the_manual() -> None:
    queue = ["push", "status", "dead", "retry", "skip", "rebuild"]
    expected = {"", "simulate", "run", "work", "report", "score", "evaluate", "queue", "share"}
    expected |= {f"share {name}" for name in ("list", "receive", "send")}
    assert expected | {f"queue {name}" for name in queue} <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help_and_every_leaf_an_example(words: str, command: Command) -> None:
    code, out, err = command(f"{words} --help")
    assert (code, err) == (0, "")
    assert f"Usage: workload {words}".strip() in out
    assert command(f"{words} -h") == (0, out, "")
    if not getattr(COMMANDS[words], "commands", None):
        example = re.search(r"Example: (?:\w+=\S+ )*workload (.+)", out)
        assert example, out
        assert example.group(1).startswith(words)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words])
def test_every_option_is_explained(words: str) -> None:
    for parameter in COMMANDS[words].params:
        assert parameter.hidden or parameter.help, f"{words} {parameter.name}"


def test_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("line", ["", "queue"])
def test_without_a_command_it_shows_help(line: str, command: Command) -> None:
    code, out, err = command(line)
    assert (code, err) == (0, "")
    assert "Usage: workload" in out


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--bogus", "--bogus"),
        ("bogus", "bogus"),
        ("queue bogus", "bogus"),
        ("run", "--share"),
        ("run --share x --bogus", "--bogus"),
        ("run --share x --workers 0", "--workers"),
        ("run --share x --workers many", "--workers"),
        ("run --share x --days 0", "--days"),
        ("run --share x --seed -1", "--seed"),
        ("run --share x --format xml", "--format"),
        ("run --share x --days 1 --datasets y", "not both"),
        ("simulate --out x", "--days"),
        ("simulate --out x --days 1 --start yesterday", "--start"),
        ("simulate --out x --days 1.5", "--days"),
        ("score --checkpoint x --dataset y", "--out"),
        ("score --checkpoint x --dataset y --out z", "z: write to a file ending in .csv"),
        ("score --checkpoint none.pkl --dataset y --out z.csv", "none.pkl: no such file"),
        ("score --checkpoint x --dataset y --out z.csv --cards 0", "--cards"),
        ("evaluate --datasets x", "--protocol"),
        ("evaluate --datasets x --protocol best", "--protocol"),
        ("evaluate --datasets nowhere --protocol handbook", "nowhere: no such directory"),
        ("report", "--share"),
        ("report --share nowhere", "nowhere/output/ledger.jsonl: no ledger"),
        ("queue push", "--all"),
        ("queue push --all x.pkl", "--all"),
        ("share receive x", "x"),
        ("queue skip", "path"),
        ("queue status --share nowhere", "nowhere: no run has used this share"),
        ("queue rebuild --share nowhere", "nowhere: no run has used this share"),
    ],
)
def test_wrong_usage_is_one_line_that_names_it_and_exit_2(
    line: str, named: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command(line)
    assert (code, out) == (ExitCode.USAGE, "")
    assert_one_line(err)
    assert named in err
    assert list(tmp_path.iterdir()) == [], "nothing is written by a command that is refused"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WORKLOAD_LEASE_SECONDS", "abc"),
        ("WORKLOAD_RENEW_SECONDS", "14"),
        ("WORKLOAD_REDIS_URL", "redis"),
    ],
)
@pytest.mark.parametrize("line", ["work", "queue status"])
def test_bad_setting_is_one_line_that_names_it_and_exit_2(
    line: str, variable: str, value: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    code, out, err = command(line)
    assert (code, out) == (ExitCode.USAGE, "")
    assert_one_line(err)
    assert f"{variable}={value}".replace("'", "") in err.replace("'", "")


def test_started_as_a_program_it_ends_with_the_same_code_and_line(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "workload", "work"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORKLOAD_LEASE_SECONDS": "abc"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stdout == ""
    assert_one_line(process.stderr)
    assert "WORKLOAD_LEASE_SECONDS='abc': " in process.stderr


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (QueueUnavailable("Redis is\n away"), 1, "Redis is away"),
        (HandedBack("stopped"), 75, "stopped"),
        (KeyboardInterrupt(), 75, "stopped"),
        (OSError(errno.ENOSPC, "full", "file"), 1, "file: no space left on device"),
        (KeyError("x"), 1, "KeyError: 'x' (a defect; --debug shows where)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_error_is_one_line_with_its_exit_code(
    error: BaseException,
    code: int,
    text: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("workload.engine.reporting.rewrite_report", fail)
    got, out, err = command("report --share x")
    assert (got, out) == (code, "")
    assert err.endswith(f"workload: {text}\n")
    assert "Traceback" not in err


@pytest.mark.parametrize("line", ["--debug report --share x", "report --share x --debug"])
def test_debug_shows_the_traceback_wherever_it_stands(
    line: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("workload.engine.reporting.rewrite_report", fail)
    with pytest.raises(KeyError):
        command(line)


def test_simulate_writes_what_it_says(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "data"
    line = f"simulate --out {out} --days 1 --start 2020-02-29 --format parquet --seed 3"
    code, text, err = command(line)
    assert (code, err) == (0, "")
    assert re.fullmatch(rf"1 training days? and 1 testing day, [\d,]+ transactions: {out}\n", text)
    assert (out / "training/2020-02-29.parquet").is_file()
    assert (out / "testing/test_dataset.parquet").is_file()


def test_output_that_nobody_reads_is_no_defect() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        process = subprocess.run(
            [sys.executable, "-m", "workload", "--help"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (process.returncode, process.stderr) == (1, "")


# --- the queue's commands on a share --------------------------------------------------------------


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Make a share whose queue holds three days, none learned."""
    root = tmp_path / "share"
    for number in range(3):
        date = dt.date(2018, 4, 1) + dt.timedelta(number)
        write_day(root / f"datasets/training/{date}.pkl", number, dt.date(2018, 4, 1))
    with local.serve(root) as server, connect(server.url) as client:
        Queue(client).push([f"datasets/training/2018-04-0{day}.pkl" for day in (1, 2, 3)])
    return root


def halt(share: Path) -> None:
    with local.serve(share) as server, connect(server.url) as client:
        answer: Any = Queue(client).claim()
        client.hset(
            "datasets:state",
            mapping={"halted_dataset": answer.lease.dataset, "halted_reason": "no such file"},
        )


def test_retry_of_a_halted_chain_says_so_and_lets_it_continue(
    command: Command, share: Path
) -> None:
    halt(share)
    code, out, _ = command(f"queue status --share {share}")
    assert code == ExitCode.INCOMPLETE
    assert "HALTED      datasets/training/2018-04-01.pkl: no such file" in out
    assert command(f"queue retry --share {share}") == (
        0,
        "datasets/training/2018-04-01.pkl: will be retried\n",
        "",
    )
    assert command(f"queue status --share {share}")[0] == 0


def test_retry_of_anything_else_says_why_not(command: Command, share: Path) -> None:
    code, out, err = command(f"queue retry datasets/training/2018-04-01.pkl --share {share}")
    assert (code, err) == (ExitCode.INCOMPLETE, "")
    assert out == "datasets/training/2018-04-01.pkl: the chain is not halted on it\n"


def test_retry_of_a_chain_that_is_not_halted_is_no_mistake(command: Command, share: Path) -> None:
    assert command(f"queue retry --share {share}") == (0, "the chain is not halted\n", "")


def test_share_in_use_is_refused_in_one_line_but_can_be_looked_at(
    command: Command, share: Path
) -> None:
    with local.serve(share):
        code, out, err = command(f"run --share {share}")
        assert (code, out) == (ExitCode.USAGE, "")
        assert_one_line(err)
        assert f"{share}: another run is using this share" in err
        code, out, err = command(f"queue status --share {share}")
        assert (code, err) == (0, "")
        assert "waiting     3\n" in out


def test_share_is_in_use_as_long_as_a_redis_writes_to_it(command: Command, share: Path) -> None:
    script = (
        "import sys, pathlib, time; from workload.local import share_queue as local\n"
        "with local.serve(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.url, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(share)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        with connect(run.stdout.readline().strip()) as client:
            redis: int = client.info("server")["process_id"]
        os.kill(redis, signal.SIGSTOP)  # slow to end, as with a large file
        try:
            run.kill()
            run.wait()
            with (share / ".redis/lock").open() as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.kill(redis, signal.SIGCONT)
    until(lambda: not psutil.pid_exists(redis), "the server has ended")
    # What ends the server holds the lock too, and ends after it.
    until(lambda: _unlocked(share / ".redis/lock"), "the lock is free")
    assert command(f"queue status --share {share}")[0] == 0


def _unlocked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_scores_that_cannot_be_written_name_the_file(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pyarrow.csv  # noqa: PLC0415

    def score(_checkpoint: Path, _dataset: Path, out: Path, **_: object) -> None:
        pyarrow.csv.write_csv(pyarrow.table({"a": [1]}), out)

    monkeypatch.setattr("workload.fraud.score.score", score)
    out = tmp_path / "nowhere/scores.csv"
    _, _, err = command(f"score --checkpoint x --dataset y --out {out}")
    assert_one_line(err)
    assert str(out) in err

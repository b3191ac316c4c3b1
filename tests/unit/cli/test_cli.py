"""The command line: help with an example, one line for every mistake, exit codes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
import typer

from workload import __version__
from workload.cli import main as cli
from workload.errors import ExitCode, HandedBack, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[[str], tuple[int, str, str]]

ROOT = Path(__file__).parents[3]


def commands() -> dict[str, Any]:
    """Return every command by the words that start it."""
    found: dict[str, Any] = {}

    def walk(words: str, command: Any) -> None:
        found[words] = command
        for name, child in getattr(command, "commands", {}).items():
            walk(f"{words} {name}".strip(), child)

    walk("", typer.main.get_command(cli.app))
    return found


COMMANDS = commands()


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


def test_scores_that_cannot_be_written_name_the_file(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pyarrow.csv  # noqa: PLC0415

    def score(_model: object, _dataset: Path, out: Path, **_: object) -> None:
        pyarrow.csv.write_csv(pyarrow.table({"a": [1]}), out)

    monkeypatch.setattr("workload.engine.chain.ChainState.from_file", Mock())
    monkeypatch.setattr("workload.fraud.score.score", score)
    out = tmp_path / "nowhere/scores.csv"
    _, _, err = command(f"score --checkpoint x --dataset y --out {out}")
    assert_one_line(err)
    assert str(out) in err

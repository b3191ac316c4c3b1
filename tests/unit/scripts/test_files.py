"""The operator's side of a transfer: no break and no pod's answer costs or misplaces a byte."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import psutil
import pytest

from scripts.cluster import files, results, resuming
from scripts.cluster.console import Failure
from scripts.cluster.pipes import talking
from workload.errors import UsageError, WorkloadError
from workload.share.stream import SharedFile, list_lines, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

DATASETS = {
    "testing/test_dataset.pkl": b"tested",
    "training/2018-04-01.pkl": b"the first day",
    "training/2018-04-02.csv.gz": b"",
    "training/2018-04-03.parquet": b"the third day",
}
CHECKPOINTS = {"model_cpt_2018-04-01.pkl": b"model 1", "model_cpt_2018-04-02.pkl": b"model 2"}


def ledger_of(checkpoints: Mapping[str, bytes]) -> bytes:
    lines = [
        {"checkpoint_file": name, "checkpoint": hashlib.sha256(content).hexdigest()}
        for name, content in checkpoints.items()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


LEDGER = ledger_of(CHECKPOINTS)
RESULTS = {**CHECKPOINTS, "ledger.jsonl": LEDGER, "report.html": b"<html>", "report.txt": b""}


class Limited(io.RawIOBase):
    """A descriptor that breaks after so many bytes."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor, self.left = descriptor, limit

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = os.read(self._descriptor, min(len(buffer), self.left)) if self.left else b""
        self.left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def write(self, content: Any) -> int:
        allowed = bytes(content)[: self.left]
        self.left -= os.write(self._descriptor, allowed)
        if len(allowed) < len(content):
            raise BrokenPipeError
        return len(allowed)


@dataclass
class Pod:
    """The share's side in a thread of its own; its connections break as told.

    Args:
        share: its root.
        asked: bytes after which each connection breaks on its way to the pod; then it doesn't.
        answered: the same, on the way back.
    """

    share: Path
    asked: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    connections: int = 0
    moved: int = 0

    @contextmanager
    def talking(self, _pod: str, _share: str, verb: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        self.connections += 1
        (inward, sink), (source, outward) = os.pipe(), os.pipe()
        errors: list[Exception] = []

        def limit(limits: list[int]) -> int:
            return limits.pop(0) if limits else sys.maxsize

        asked, answered = Limited(inward, limit(self.asked)), Limited(outward, limit(self.answered))
        counted = asked if verb == "receive" else answered
        before = counted.left

        def serve() -> None:
            stream = io.BufferedReader(asked)
            try:
                if verb == "receive":
                    receive(self.share, stream, lambda line: _write(answered, f"{line}\n"))
                else:
                    send(self.share, stream, answered)  # type: ignore[arg-type]
            except (WorkloadError, BrokenPipeError) as error:
                errors.append(error)
            finally:
                os.close(inward)
                os.close(outward)

        thread = threading.Thread(target=serve)
        thread.start()
        broken = False
        try:
            with os.fdopen(source, "rb") as answers, os.fdopen(sink, "wb") as questions:
                yield questions, answers
        except (BrokenPipeError, EOFError):
            broken = True
        finally:
            thread.join(60)
            self.moved += before - counted.left
        if any(isinstance(error, UsageError) for error in errors):
            raise Failure(str(errors[0]), 2)
        if errors or broken:
            raise ConnectionError(str(errors[0]) if errors else "the connection broke")


def _write(stream: Limited, text: str) -> None:
    stream.write(text.encode())


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the pauses and the waits for the disk: no machine loses its power here."""
    monkeypatch.setenv("BATCH_PAUSE", "0")
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    for name, content in DATASETS.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pod]:
    """Return what makes a pod with a new share."""

    def make(number: int = 0, **limits: list[int]) -> Pod:
        made = Pod(
            tmp_path / f"share-{number}", limits.get("asked", []), limits.get("answered", [])
        )
        made.share.mkdir()
        for module in (files, results):
            monkeypatch.setattr(module, "talking", made.talking)
        return made

    return make


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a directory, hidden ones too."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def described(name: str, content: bytes) -> SharedFile:
    return SharedFile(name, len(content), hashlib.sha256(content).hexdigest())


# To the share


def test_many_files_go_through_one_connection(datasets: Path, pod: Callable[..., Pod]) -> None:
    for day in range(1, 400):
        (datasets / f"training/day-{day}.pkl").write_bytes(b"%d" % day)
    there = pod()
    files.send_all(datasets, "pod")
    assert there.connections == 1
    assert tree(there.share / "datasets") == tree(datasets)


def test_a_transfer_that_breaks_at_any_byte_goes_on_there(
    datasets: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str]
) -> None:
    """On its way to the pod: in a line, between lines, within a file, between files."""
    whole = pod(-1)
    files.send_all(datasets, "pod")
    size = sum(map(len, DATASETS.values()))
    lists = whole.moved - size
    for byte in range(whole.moved):
        there = pod(byte, asked=[byte])
        capsys.readouterr()
        files.send_all(datasets, "pod")
        assert tree(there.share / "datasets") == DATASETS, byte
        assert there.connections == 2, byte
        assert there.moved <= min(byte, lists) + lists + size, f"{byte}: a byte went twice"
        assert "Transferred 4 files, 0 were there" in capsys.readouterr().out


def test_an_answer_that_breaks_at_any_byte_is_no_answer(
    datasets: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str]
) -> None:
    for byte in range(len("0\n" * 4 + "stored\n" * 4)):
        there = pod(byte, answered=[byte])
        capsys.readouterr()
        files.send_all(datasets, "pod")
        assert tree(there.share / "datasets") == DATASETS, byte
        assert there.connections == 2, byte
        assert "Transferred 4 files, 0 were there" in capsys.readouterr().out, byte


def test_breaks_are_counted_from_the_last_file_that_was_finished(
    datasets: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str]
) -> None:
    lists = sum(map(len, list_lines([described(f"datasets/{n}", c) for n, c in DATASETS.items()])))
    there = pod(asked=[0, 10, 20, 30, lists + 7, *[0] * (resuming.TRIES - 1)])
    with pytest.raises(Failure, match=r"the connection broke.*; run this again to resume"):
        files.send_all(datasets, "pod")
    assert there.connections == 4 + resuming.TRIES
    assert capsys.readouterr().out.count("resuming") == 4 + resuming.TRIES - 1


def test_a_source_that_becomes_shorter_is_one_line(
    datasets: Path, pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = pod()
    path = datasets / "training/2018-04-01.pkl"
    taken = files._Sending._missing

    def missing(*arguments: Any) -> Any:
        path.write_bytes(b"the f")
        return taken(*arguments)

    monkeypatch.setattr(files._Sending, "_missing", missing)
    with pytest.raises(Failure, match=r"2018-04-01\.pkl: became shorter while it was copied"):
        files.send_all(datasets, "pod")
    assert "datasets/training/2018-04-01.pkl" not in tree(there.share)


# From the share


def fill(share: Path) -> None:
    (share / "output").mkdir()
    for name, content in RESULTS.items():
        (share / "output" / name).write_bytes(content)


def fetched(directory: Path) -> dict[str, bytes]:
    """Return what was fetched, without the receipt."""
    return {name: content for name, content in tree(directory).items() if name != results.RECEIPT}


def test_many_results_come_through_one_connection(tmp_path: Path, pod: Callable[..., Pod]) -> None:
    there = pod()
    fill(there.share)
    for number in range(400):
        (there.share / f"output/model_cpt_{number}.pkl").write_bytes(b"%d" % number)
    checkpoints = {f"model_cpt_{number}.pkl": b"%d" % number for number in range(400)}
    (there.share / "output/ledger.jsonl").write_bytes(ledger_of({**CHECKPOINTS, **checkpoints}))
    results.fetch_all(tmp_path / "results", "pod")
    assert there.connections == 1
    assert fetched(tmp_path / "results") == tree(there.share / "output")


@pytest.mark.parametrize("way", ["answered", "asked"])
def test_a_fetch_that_breaks_at_any_byte_goes_on_there(
    way: str, tmp_path: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the list, within a file, between files; in a question and between questions."""
    whole = pod(-1)
    fill(whole.share)
    results.fetch_all(tmp_path / "whole", "pod")
    size = sum(map(len, RESULTS.values()))
    lists = whole.moved - size
    questions = sum(len(f'{{"path": "output/{name}", "offset": 0}}\n') for name in RESULTS) + 1
    for byte in range(whole.moved if way == "answered" else questions):
        there = pod(byte, **{way: [byte]})
        fill(there.share)
        capsys.readouterr()
        results.fetch_all(tmp_path / f"results-{byte}", "pod")
        assert fetched(tmp_path / f"results-{byte}") == RESULTS, byte
        assert there.connections == 2, byte
        if way == "answered":
            assert there.moved <= min(byte, lists) + lists + size, f"{byte}: a byte came twice"
        assert "Fetched 4 files" in capsys.readouterr().out, byte


def test_a_rest_that_is_too_long_is_fetched_anew(tmp_path: Path, pod: Callable[..., Pod]) -> None:
    there = pod()
    fill(there.share)
    (tmp_path / "results").mkdir()
    digest = hashlib.sha256(RESULTS["report.html"]).hexdigest()
    (tmp_path / f"results/.report.html.{digest}.partial").write_bytes(b"x" * 100)
    results.fetch_all(tmp_path / "results", "pod")
    assert there.connections == 1
    assert fetched(tmp_path / "results") == RESULTS


def test_rests_of_other_versions_are_removed(tmp_path: Path, pod: Callable[..., Pod]) -> None:
    there = pod()
    fill(there.share)
    (tmp_path / "results").mkdir()
    (tmp_path / f"results/.report.html.{'0' * 64}.partial").write_bytes(b"<")
    results.fetch_all(tmp_path / "results", "pod")
    assert fetched(tmp_path / "results") == RESULTS


def test_a_result_that_is_replaced_meanwhile_is_fetched_as_it_is_then(
    tmp_path: Path, pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = pod()
    fill(there.share)
    listed, newer = results._results, [b"<HTML>", b"a longer one", b"<"]

    def list_then_replace(source: IO[bytes]) -> list[SharedFile]:
        found = listed(source)
        if newer:
            (there.share / "output/report.html").write_bytes(newer.pop(0))
        return found

    monkeypatch.setattr(results, "_results", list_then_replace)
    results.fetch_all(tmp_path / "results", "pod")
    assert fetched(tmp_path / "results") == {**RESULTS, "report.html": b"<"}


@pytest.mark.parametrize(
    "ledger",
    [b"{", b"[]\n", b"{}\n", b'"text"\n', b"\xff\n", b'{"checkpoint_file": "model_cpt_1.pkl"}\n'],
)
def test_a_ledger_that_is_none_is_one_line(
    tmp_path: Path, pod: Callable[..., Pod], ledger: bytes
) -> None:
    there = pod()
    fill(there.share)
    (there.share / "output/ledger.jsonl").write_bytes(ledger)
    with pytest.raises(Failure, match=r"results/ledger.jsonl: not a ledger"):
        results.fetch_all(tmp_path / "results", "pod")


@pytest.mark.parametrize("name", ["../escaped", "/escaped", ".bashrc", "..", "", "a/b", "a\nb"])
def test_a_ledger_that_names_a_file_elsewhere_moves_nothing(
    tmp_path: Path, pod: Callable[..., Pod], name: str
) -> None:
    there = pod()
    fill(there.share)
    line = {"checkpoint_file": name, "checkpoint": hashlib.sha256(b"x").hexdigest()}
    (there.share / "output/ledger.jsonl").write_text(json.dumps(line) + "\n")
    (there.share / "escaped").write_bytes(b"x")
    with pytest.raises(Failure, match="1 results are missing or wrong"):
        results.fetch_all(tmp_path / "inner/results", "pod")
    assert sorted(tree(tmp_path / "inner")) == [
        "results/.fetched.json",
        "results/ledger.jsonl",
        "results/report.html",
        "results/report.txt",
    ]


@pytest.mark.parametrize(
    "name", ["Makefile", "conftest.py", "report.html.js", "model_cpt_1.sh", "ledger.jsonl.pkl"]
)
def test_a_file_that_the_ledger_does_not_name_is_left_on_the_share_and_said(
    tmp_path: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    there = pod()
    fill(there.share)
    (there.share / "output" / name).write_bytes(b"all: ; touch run")
    results.fetch_all(tmp_path / "results", "pod")
    assert fetched(tmp_path / "results") == RESULTS
    assert f"Left on the share, not named by the ledger: {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Makefile", "conftest.py", "model_cpt_1.sh", ".fetched.json"])
def test_a_ledger_can_not_have_a_file_of_another_kind_fetched(
    tmp_path: Path, pod: Callable[..., Pod], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    there = pod()
    fill(there.share)
    (there.share / "output" / name).write_bytes(b"all: ; touch run")
    ledger = ledger_of({**CHECKPOINTS, name: b"all: ; touch run"})
    (there.share / "output/ledger.jsonl").write_bytes(ledger)
    with pytest.raises(Failure, match="1 results are missing or wrong"):
        results.fetch_all(tmp_path / "results", "pod")
    assert fetched(tmp_path / "results") == {**RESULTS, "ledger.jsonl": ledger}
    assert f"WRONG output/{name}: the ledger names it, and it is no" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ledger.jsonl", "report.html", "report.txt"])
@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_nothing_is_put_over_what_no_earlier_fetch_has_left(
    tmp_path: Path, pod: Callable[..., Pod], name: str, kind: str
) -> None:
    there = pod()
    fill(there.share)
    mine = tmp_path / "results" / name
    mine.parent.mkdir()
    if kind == "file":
        mine.write_bytes(b"mine")
    elif kind == "link":
        mine.symlink_to("nowhere")
    else:
        mine.mkdir()
    before = mine.lstat()
    with pytest.raises(Failure, match=r"has another content|1 results are missing or wrong"):
        results.fetch_all(tmp_path / "results", "pod")
    assert mine.lstat() == before


def test_a_newer_report_takes_the_place_of_a_fetched_one_and_not_of_a_changed_one(
    tmp_path: Path, pod: Callable[..., Pod]
) -> None:
    there = pod()
    fill(there.share)
    for content in (b"<html>", b"newer", b"<html>", b"newest"):
        (there.share / "output/report.html").write_bytes(content)
        results.fetch_all(tmp_path / "results", "pod")
        assert (tmp_path / "results/report.html").read_bytes() == content
    (tmp_path / "results/report.html").write_bytes(b"with my notes")
    with pytest.raises(Failure, match="1 results are missing or wrong"):
        results.fetch_all(tmp_path / "results", "pod")
    assert (tmp_path / "results/report.html").read_bytes() == b"with my notes"


def test_no_more_is_fetched_than_there_is_room_for(
    tmp_path: Path, pod: Callable[..., Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = pod()
    fill(there.share)
    usage = shutil.disk_usage(tmp_path)
    room = [len(LEDGER), 19]  # before the ledger, and before all else: 20 bytes
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: usage._replace(free=results.SPARE + room.pop(0))
    )
    with pytest.raises(Failure, match=r"results: the results need 0.0 kB more and there is room"):
        results.fetch_all(tmp_path / "results", "pod")
    assert fetched(tmp_path / "results") == {"ledger.jsonl": LEDGER}


# A pod that says what it likes


@contextmanager
def says(words: bytes) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    yield io.BytesIO(), io.BytesIO(words)


def listing(**fields: Any) -> bytes:
    whole = {"path": "output/report.html", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    return json.dumps({**whole, **fields}).encode() + b"\n\nx"


@pytest.mark.parametrize(
    "words",
    [
        *(
            listing(path=path)
            for path in (
                "output/../escaped",
                "../escaped",
                "/escaped",
                "output/..",
                "output/.",
                "output/",
                "output/.bashrc",
                "output/a/b",
                "output/a\x1b[31m",
                "datasets/training/2018-04-01.pkl",
                "escaped",
                "",
            )
        ),
        listing(sha256="../" + "0" * 61),
        listing(sha256="/escaped"),
        listing(size=-1),
        listing(size="1"),
        listing(mode=0o777),
        b"<html>\n",
        b"x" * 100_000,
        b"[" * 4000 + b"\n",
    ],
)
def test_a_list_that_makes_no_sense_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr(results, "talking", lambda *_: says(words))
    with pytest.raises(Failure, match="unexpected list of the share"):
        results.fetch_all(tmp_path / "inner/results", "pod")
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", ["ledger.jsonl", "report.html", "report.txt", "dead.jsonl"])
def test_a_result_that_is_larger_than_any_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    words = listing(path=f"output/{name}", size=results.LARGEST + 1)
    monkeypatch.setattr(results, "talking", lambda *_: says(words))
    with pytest.raises(Failure, match=r"at most 268435456 are fetched|1 results are missing"):
        results.fetch_all(tmp_path / "results", "pod")
    assert tree(tmp_path) == {}


def test_a_result_that_is_not_what_was_listed_never_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = listing()[:-1] + b"y"
    monkeypatch.setattr(results, "talking", lambda *_: says(wrong))
    with pytest.raises(Failure, match=r"output/report.html: what came has another hash"):
        results.fetch_all(tmp_path / "results", "pod")
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "words",
    [
        b"-1\n" * 4,
        b"7\n" * 4,
        b"0x1\n" * 4,
        b"\n" * 4,
        b"stored\n" * 4,
        b"0\n" * 4 + b"present\n" * 4,
        b"x" * 1000,
        b"\xff\n" * 4,
    ],
)
def test_an_answer_that_makes_no_sense_is_one_line(
    datasets: Path, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr(files, "talking", lambda *_: says(words))
    with pytest.raises(Failure, match="unexpected answer of the share"):
        files.send_all(datasets, "pod")


# The command in the pod


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a program the kubectl."""

    def make(program: str) -> None:
        (tmp_path / "kubectl").write_text(f"import os, sys, time\n{program}\n")
        words = [sys.executable, "-IS", str(tmp_path / "kubectl")]
        monkeypatch.setenv("BATCH_KUBECTL", shlex.join(words))

    return make


COMPLAINS = "sys.stderr.write('workload: no\\ncommand terminated with exit code 1\\n')\n"


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        (COMPLAINS + "sys.exit(2)", Failure, "^no$"),
        (COMPLAINS + "sys.exit(1)", ConnectionError, "^no$"),
        ("sys.exit(1)", ConnectionError, "the connection broke"),
        ("", ConnectionError, "the connection broke"),
        (
            "sys.stderr.write('x' * 1000000 + '\\n')\n" + COMPLAINS + "sys.exit(1)",
            ConnectionError,
            "^no$",
        ),
    ],
    ids=["refused", "failed", "failed in silence", "ended early", "talks a lot"],
)
def test_how_a_command_ended_tells_why(
    kubectl: Callable[[str], None], program: str, error: type[Exception], words: str
) -> None:
    kubectl(program)
    with pytest.raises(error, match=words):
        _read_one_byte()


def _read_one_byte() -> None:
    with talking("pod", "share", "send") as (_, source):
        if not source.read(1):
            raise EOFError


def test_a_command_that_went_away_while_it_was_written_to_tells_why(
    kubectl: Callable[[str], None],
) -> None:
    kubectl(COMPLAINS + "sys.exit(2)")

    def write() -> None:
        with talking("pod", "share", "receive") as (sink, _):
            while True:
                sink.write(bytes(100_000))

    with pytest.raises(Failure, match=r"^no$"):
        write()


def test_a_command_that_goes_on_and_on_is_ended(kubectl: Callable[[str], None]) -> None:
    kubectl("while True: os.write(1, bytes(10000))")
    with pytest.raises(Failure, match="more came from the pod than it was asked for"):
        _read_one_byte()


def test_a_command_is_ended_when_its_user_stops(kubectl: Callable[[str], None]) -> None:
    kubectl("os.write(1, b'%d\\n' % os.getpid())\ntime.sleep(3600)")
    numbers = []

    def stop() -> None:
        with talking("pod", "share", "send") as (_, source):
            numbers.append(int(source.readline()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not psutil.pid_exists(numbers[0])

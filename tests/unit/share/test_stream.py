"""Files through a pipe: whole or not there, resumed where they broke off, only in their place."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.transfers import NAME, Pipe, described, put_all
from workload.errors import ShareUnusable, UsageError, WorkloadError
from workload.share.stream import (
    END,
    FILES,
    LINE,
    Interrupted,
    SharedFile,
    list_files,
    list_lines,
    read_list,
    receive,
    request_line,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENT = bytes(range(256)) * 20_000  # several chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()

MANY = {
    "datasets/testing/test_dataset.pkl": b"tested",
    NAME: b"the first day",
    "datasets/training/2018-04-02.csv.gz": b"",
    "datasets/training/2018-04-03.parquet": b"the third day",
}


@pytest.fixture
def share(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    return root


def put(share: Path, content: bytes = CONTENT, name: str = NAME) -> list[str]:
    """Send a file, of which `content` is all that comes before the pipe breaks."""
    lists = sum(map(len, list_lines([described(name, CONTENT)])))
    whole = len(content) == len(CONTENT)
    return put_all(share, {name: CONTENT}, sys.maxsize if whole else lists + len(content))


def files(share: Path) -> list[str]:
    return sorted(p.relative_to(share).as_posix() for p in share.rglob("*") if p.is_file())


def visible(share: Path) -> dict[str, bytes]:
    return {n: (share / n).read_bytes() for n in files(share) if "/." not in n}


# To the share


def test_files_arrive_whole_under_their_names_and_leave_nothing_else(share: Path) -> None:
    answers = put_all(share, {**MANY, NAME: CONTENT})
    assert answers == ["0"] * 4 + ["stored"] * 4
    assert visible(share) == {**MANY, NAME: CONTENT}
    assert files(share) == sorted(MANY)


def test_files_that_are_there_are_not_asked_for_again(share: Path) -> None:
    put_all(share, {NAME: MANY[NAME]})
    written = (share / NAME).stat().st_mtime_ns
    answers = put_all(share, MANY)
    assert answers == ["0", "present", "0", "0", "stored", "stored", "stored"]
    assert (share / NAME).stat().st_mtime_ns == written
    assert visible(share) == MANY


@pytest.mark.parametrize("broken_at", [0, 1, 1 << 20, (1 << 20) + 7, len(CONTENT) - 1])
def test_what_broke_off_is_invisible_and_resumed_at_that_byte(share: Path, broken_at: int) -> None:
    with pytest.raises(Interrupted, match=rf"{broken_at} of {len(CONTENT)} bytes came"):
        put(share, CONTENT[:broken_at])
    assert not (share / NAME).exists()
    assert list_files(share, "datasets") == []
    assert put(share) == [str(broken_at), "stored"]
    assert (share / NAME).read_bytes() == CONTENT
    assert files(share) == [NAME]


LIST_BYTES = sum(map(len, list_lines([described(*item) for item in MANY.items()])))
ALL_BYTES = LIST_BYTES + sum(map(len, MANY.values()))


def test_a_pipe_that_breaks_at_any_byte_leaves_whole_files_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line of the list, between lines, before its end, in a file and between files."""
    monkeypatch.setattr("os.fsync", lambda _: None)  # no machine loses its power here
    ends = [sum(map(len, list(MANY.values())[:n])) for n in range(1, len(MANY) + 1)]
    for byte in range(ALL_BYTES):
        share = tmp_path / str(byte)
        share.mkdir()
        with pytest.raises(Interrupted):
            put_all(share, MANY, byte)
        came = byte - LIST_BYTES
        # An empty file is whole as soon as it is its turn.
        whole = sum(came >= end for end in ends)
        assert visible(share) == dict(list(MANY.items())[:whole]), byte
        if came < 0:
            assert files(share) == [], byte
        answers = put_all(share, MANY)
        assert answers.count("present") == whole, byte
        if came >= 0:
            assert answers[whole] == str(came - [0, *ends][whole]), byte
        assert visible(share) == MANY, byte
        assert files(share) == sorted(MANY), byte


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"0\n\n", "needs path, size and sha256"),
        (b"[]\n\n", "needs path, size and sha256"),
        (b"{}\n\n", "needs path, size and sha256"),
        (b"PK\x03\x04\n\n", "no JSON object"),
        (b"\xff\n\n", "no JSON object"),
        (b"[" * (LINE - 2) + b"\n\n", "no JSON object"),
        (b" " * LINE, "longer than 4096 bytes"),
        (b"x" * 10_000_000, "longer than 4096 bytes"),
        (b'{"path": "%s", "size": -1, "sha256": "%s"}\n\n', "needs path, size and sha256"),
        (b'{"path": "%s", "size": 1.5, "sha256": "%s"}\n\n', "needs path, size and sha256"),
        (b'{"path": "%s", "size": 1, "sha256": "%s", "mode": 1}\n\n', "needs path, size and"),
    ],
)
def test_a_broken_list_is_one_line_and_nothing_is_stored(
    share: Path, text: bytes, complaint: str
) -> None:
    if b"%s" in text:
        text %= (NAME.encode(), DIGEST.encode())
    with pytest.raises(UsageError, match=complaint) as caught:
        receive(share, io.BytesIO(text), lambda line: pytest.fail(f"answered {line}"))
    assert "\n" not in str(caught.value)
    assert files(share) == []


@pytest.mark.parametrize("digest", ["short", "0" * 63 + "g", "../" + "0" * 61, "A" * 64, "0" * 65])
def test_a_hash_that_is_none_is_refused_since_it_names_a_file(share: Path, digest: str) -> None:
    line = json.dumps({"path": NAME, "size": 1, "sha256": digest}).encode() + b"\n\nx"
    with pytest.raises(UsageError, match="needs path, size and sha256"):
        receive(share, io.BytesIO(line), lambda line: pytest.fail(f"answered {line}"))
    assert files(share) == []


def test_a_list_without_end_is_refused_by_both_sides_before_it_fills_the_memory() -> None:
    [line, _] = list_lines([described(NAME, b"")])

    class Endless(io.BytesIO):
        lines = 0

        def readline(self, _size: int | None = -1) -> bytes:
            self.lines += 1
            return line

    stream = Endless()
    with pytest.raises(UsageError, match=f"too long: at most {FILES}"):
        read_list(stream, "datasets")
    assert stream.lines == FILES + 1
    with pytest.raises(UsageError, match=f"{FILES + 1} files: at most {FILES}"):
        list(list_lines([described(NAME, b"")] * (FILES + 1)))


def test_a_corrupted_partial_file_is_thrown_away_and_never_gets_the_name(share: Path) -> None:
    with pytest.raises(Interrupted):
        put(share, CONTENT[:1000])
    [partial] = [share / name for name in files(share)]
    partial.write_bytes(b"x" * 1000)
    with pytest.raises(WorkloadError, match="what came has another hash"):
        put(share)
    assert files(share) == []
    assert put(share) == ["0", "stored"]


def test_a_partial_file_that_is_too_long_starts_over(share: Path) -> None:
    with pytest.raises(Interrupted):
        put(share, CONTENT[:1000])
    [partial] = [share / name for name in files(share)]
    partial.write_bytes(CONTENT + b"x")
    assert put(share) == ["0", "stored"]
    assert (share / NAME).read_bytes() == CONTENT


def test_a_source_that_changed_meanwhile_starts_over_and_leaves_no_rest(share: Path) -> None:
    other = CONTENT[:-1] + b"x"
    lines = sum(map(len, list_lines([described(NAME, other)])))
    with pytest.raises(Interrupted):
        put_all(share, {NAME: other}, lines + 1000)
    assert put(share) == ["0", "stored"]
    assert files(share) == [NAME]


def test_a_rest_of_what_is_there_is_removed(share: Path) -> None:
    put(share)
    rest = (share / NAME).with_name(f".2018-04-01.pkl.{'0' * 64}.partial")
    rest.write_bytes(b"half")
    assert put(share) == ["present"]
    assert files(share) == [NAME]


def test_a_rest_of_a_file_whose_name_looks_alike_stays(share: Path) -> None:
    with pytest.raises(Interrupted):
        put(share, CONTENT[:1000])
    put(share, name="datasets/training/2018-04-0[12].pkl")
    assert put(share) == ["1000", "stored"]


def test_another_dataset_of_the_name_or_the_day_is_not_replaced(share: Path) -> None:
    (share / "datasets/training").mkdir(parents=True)
    (share / NAME).write_bytes(b"other")
    with pytest.raises(UsageError, match="may have been learned is not replaced"):
        put(share)
    assert (share / NAME).read_bytes() == b"other"
    with pytest.raises(UsageError, match="is of the same day as"):
        put(share, name="datasets/training/2018-04-01.parquet")


def test_nothing_is_stored_when_one_file_is_refused(share: Path) -> None:
    last = list(MANY)[-1]
    (share / last).parent.mkdir(parents=True)
    (share / last).write_bytes(b"other")
    with pytest.raises(UsageError, match="is not replaced") as caught:
        put_all(share, MANY)
    assert "stored" not in caught.value.__notes__[0]
    assert files(share) == [last]


def test_a_dataset_that_another_transfer_stored_meanwhile_is_not_replaced(share: Path) -> None:
    pipe = Pipe({NAME: CONTENT})

    def answer(line: str) -> None:
        (share / NAME).parent.mkdir(parents=True)
        (share / NAME).write_bytes(b"other")
        pipe.answer(line)

    with pytest.raises(UsageError, match="may have been learned is not replaced"):
        receive(share, pipe.stream, answer)
    assert (share / NAME).read_bytes() == b"other"


def test_two_transfers_of_the_same_file_at_once_end_with_that_file(share: Path) -> None:
    """Both were told to start at the first byte; the slower one writes into what has its name."""
    slow, fast = Pipe({NAME: CONTENT}), Pipe({NAME: CONTENT})
    turn, done = threading.Event(), threading.Event()

    def answer(line: str) -> None:
        slow.answer(line)
        if line == "0":
            turn.set()
            assert done.wait(60)

    thread = threading.Thread(target=receive, args=(share, slow.stream, answer))
    thread.start()
    assert turn.wait(60)
    # The slower one has its file open and half written when the faster one renames it.
    half = len(CONTENT) // 2
    with pytest.raises(Interrupted):
        put(share, CONTENT[:half])
    with next(share.rglob(".*.partial")).open("r+b") as opened:
        receive(share, fast.stream, fast.answer)
        opened.seek(half)
        opened.write(CONTENT[half : half + 1000])
    done.set()
    thread.join(60)
    assert slow.answers == ["0", "stored"]
    assert (share / NAME).read_bytes() == CONTENT
    assert files(share) == [NAME]


@pytest.mark.parametrize(
    "name",
    [
        "datasets/training/../../../2018-04-01.pkl",
        "../datasets/training/2018-04-01.pkl",
        "/datasets/training/2018-04-01.pkl",
        "datasets/training/",
        "datasets/2018-04-01.pkl",
        "datasets/training/deep/2018-04-01.pkl",
        "datasets/training/.2018-04-01.pkl",
        "datasets/training/notes.txt",
        "datasets//training/2018-04-01.pkl",
        "datasets/training/a\n.pkl",
        "output/model_cpt_2018-04-01.pkl",
        "",
    ],
)
def test_nothing_is_written_outside_the_datasets(share: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a path of datasets"):
        put_all(share, {**MANY, name: CONTENT})
    assert files(share) == []


@pytest.mark.parametrize("link", ["datasets", "datasets/training"])
def test_a_symbolic_link_that_leads_elsewhere_is_not_followed(share: Path, link: str) -> None:
    outside = share.parent / "outside"
    outside.mkdir()
    (share / link).parent.mkdir(exist_ok=True)
    (share / link).symlink_to(outside)
    with pytest.raises(UsageError, match="a symbolic link leads elsewhere"):
        put(share)
    assert list(outside.rglob("*")) == []


def test_a_link_that_is_made_meanwhile_is_not_followed_either(share: Path) -> None:
    outside = share.parent / "outside"
    outside.mkdir()
    pipe = Pipe({NAME: CONTENT})

    def answer(line: str) -> None:
        (share / "datasets").mkdir()
        (share / "datasets/training").symlink_to(outside)
        pipe.answer(line)

    with pytest.raises(UsageError, match="a symbolic link leads elsewhere"):
        receive(share, pipe.stream, answer)
    assert list(outside.rglob("*")) == []


def test_a_full_share_is_one_line_and_what_was_stored_stays(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, iter([None, OSError(errno.ENOSPC, "No space left on device")])

    def fsync(descriptor: int) -> None:
        if error := next(calls, None):
            raise error
        sync(descriptor)

    monkeypatch.setattr("workload.share.stream.os.fsync", fsync)
    monkeypatch.setattr("workload.share.stream.rename", Path.replace)
    with pytest.raises(ShareUnusable, match=r"2018-04-01\.pkl: no space left on device"):
        put_all(share, MANY)
    assert list(visible(share)) == ["datasets/testing/test_dataset.pkl"]


# From the share


def results(share: Path, contents: dict[str, bytes]) -> None:
    (share / "output").mkdir(exist_ok=True)
    for name, content in contents.items():
        (share / name).write_bytes(content)


def ask(share: Path, questions: Iterable[bytes]) -> tuple[list[SharedFile], bytes]:
    """Return what is listed, and all bytes that are sent."""
    sink = io.BytesIO()
    send(share, io.BytesIO(b"".join(questions)), sink)
    sink.seek(0)
    return read_list(sink, "output"), sink.read()


def test_results_are_listed_without_hidden_files_directories_and_links(share: Path) -> None:
    output = share / "output"
    (output / ".checkpoints").mkdir(parents=True)
    (output / ".ledger.jsonl.0.tmp").write_bytes(b"half")
    (output / "ledger.jsonl").write_bytes(CONTENT)
    (output / "passwd").symlink_to("/etc/passwd")
    expected = [SharedFile("output/ledger.jsonl", len(CONTENT), DIGEST)]
    assert list_files(share, "output") == expected
    assert ask(share, [END]) == (expected, b"")


def test_many_results_are_sent_one_after_the_other_each_from_any_byte(share: Path) -> None:
    contents = {"output/report.html": CONTENT, "output/report.txt": b"text", "output/empty": b""}
    results(share, contents)
    questions = [
        request_line("output/report.html", 0),
        request_line("output/empty", 0),
        request_line("output/report.txt", 3),
        request_line("output/report.html", len(CONTENT) - 1),
        request_line("output/report.html", len(CONTENT)),
        END,
    ]
    _, sent = ask(share, questions)
    assert sent == CONTENT + b"t" + CONTENT[-1:]


def test_questions_that_break_off_anywhere_are_no_end(share: Path) -> None:
    results(share, {"output/report.txt": b"text"})
    questions = request_line("output/report.txt", 0) + request_line("output/report.txt", 2) + END
    for byte in range(len(questions)):
        with pytest.raises(Interrupted):
            ask(share, [questions[:byte]])
    assert ask(share, [questions])[1] == b"textxt"


@pytest.mark.parametrize(
    "name",
    [
        "output/../secret",
        "output/.secret",
        "datasets/training/2018-04-01.pkl",
        "output",
        "output/link",
        "output/missing",
        "",
    ],
)
def test_nothing_is_sent_but_the_listed_results(share: Path, name: str) -> None:
    results(share, {"output/.secret": b"secret", "secret": b"secret"})
    (share / "output/link").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="no such file among the results"):
        ask(share, [request_line(name, 0)])


@pytest.mark.parametrize("text", [b"{}\n", b'{"path": "output/x", "offset": -1}\n', b"[1]\n"])
def test_a_question_that_is_none_is_one_line(share: Path, text: bytes) -> None:
    results(share, {"output/x": b"x"})
    with pytest.raises(UsageError, match="a question is broken"):
        ask(share, [text])
    with pytest.raises(UsageError, match="no such byte"):
        ask(share, [request_line("output/x", 2)])


class _Replacing(io.BytesIO):
    """Questions before which something happens to the share."""

    def __init__(self, questions: bytes, path: Path) -> None:
        super().__init__(questions)
        self._path = path

    def readline(self, size: int | None = -1) -> bytes:
        self._path.unlink(missing_ok=True)
        self._replace()
        return super().readline(size)

    def _replace(self) -> None:
        self._path.write_bytes(b"short")


class _Linking(_Replacing):
    def _replace(self) -> None:
        self._path.symlink_to("/etc/passwd")


def test_a_result_that_became_shorter_is_not_padded(share: Path) -> None:
    results(share, {"output/report.html": CONTENT})
    questions = _Replacing(
        request_line("output/report.html", 0) + END, share / "output/report.html"
    )
    with pytest.raises(WorkloadError, match="was replaced while it was copied; try again"):
        send(share, questions, io.BytesIO())


def test_of_a_result_that_became_longer_no_more_is_sent_than_was_listed(share: Path) -> None:
    path = share / "output/report.txt"
    results(share, {"output/report.txt": b"text"})
    questions = _Replacing(request_line("output/report.txt", 0) + END, path)
    sink = io.BytesIO()
    send(share, questions, sink)
    assert sink.getvalue().endswith(b"\nshor")


def test_a_result_that_became_a_link_is_not_followed(share: Path) -> None:
    results(share, {"output/report.html": CONTENT})
    path = share / "output/report.html"
    questions = _Linking(request_line("output/report.html", 0) + END, path)
    sink = io.BytesIO()
    with pytest.raises(OSError, match="symbolic links"):
        send(share, questions, sink)
    assert b"root:" not in sink.getvalue()


# The commands


def workload(
    share: Path, *arguments: str, content: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "workload", "share", *arguments, "--share", share],
        input=content,
        capture_output=True,
        check=False,
    )


def test_the_commands_do_so_through_their_standard_streams(share: Path) -> None:
    promise = b"".join(list_lines([described(NAME, CONTENT)]))
    broken = workload(share, "receive", content=promise + CONTENT[:5000])
    assert (broken.returncode, broken.stdout) == (1, b"0\n")
    assert broken.stderr.count(b"\n") == 1
    rest = workload(share, "receive", content=promise + CONTENT[5000:])
    assert (rest.returncode, rest.stdout) == (0, b"5000\nstored\n"), rest.stderr
    listed = json.loads(workload(share, "list", "datasets", "--json").stdout)
    assert listed == [{"path": NAME, "size": len(CONTENT), "sha256": DIGEST}]
    results(share, {"output/report.txt": CONTENT})
    sent = workload(share, "send", content=request_line("output/report.txt", 9) + END)
    expected = b"".join(list_lines([described("output/report.txt", CONTENT)])) + CONTENT[9:]
    assert (sent.returncode, sent.stdout) == (0, expected), sent.stderr


def test_a_share_that_is_not_mounted_is_one_line(share: Path) -> None:
    share.rmdir()
    result = workload(share, "receive", content=b"\n")
    assert result.returncode == 1
    assert b"no such directory; mount the share" in result.stderr
    assert not share.exists()


def test_the_share_is_that_of_the_environment_or_where_a_cluster_mounts_it(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workload.cli.share import share_root  # noqa: PLC0415
    from workload.engine.settings import Settings  # noqa: PLC0415

    monkeypatch.delenv("WORKLOAD_SHARE", raising=False)
    assert share_root(None) == Settings.load().share
    monkeypatch.setenv("WORKLOAD_SHARE", str(share))
    assert share_root(None) == Settings.load().share == share
    assert share_root(share / "other") == share / "other"

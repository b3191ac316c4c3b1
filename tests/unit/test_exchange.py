"""Files through a pipe: whole or not there, resumed where they broke off, only in their place."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from workload.errors import UsageError, WorkloadError
from workload.exchange import Interrupted, SharedFile, list_files, receive, send

if TYPE_CHECKING:
    from pathlib import Path

NAME = "datasets/training/2018-04-01.pkl"
CONTENT = bytes(range(256)) * 20_000  # several chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    return root


def put(share: Path, content: bytes = CONTENT, name: str = NAME) -> list[int]:
    """Sends what the receiver asks for, out of ``content``; returns the offsets it asked for."""
    asked: list[int] = []
    stream = io.BytesIO(content)

    def on_offset(offset: int) -> None:
        asked.append(offset)
        stream.seek(offset)

    receive(share, name, len(CONTENT), DIGEST, stream, on_offset)
    return asked


def files(share: Path) -> list[str]:
    return sorted(p.relative_to(share).as_posix() for p in share.rglob("*") if p.is_file())


def test_a_file_arrives_whole_under_its_name_and_leaves_nothing_else(share: Path) -> None:
    assert put(share) == [0]
    assert files(share) == [NAME]
    assert (share / NAME).read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_asked_for_again(share: Path) -> None:
    put(share)
    written = (share / NAME).stat().st_mtime_ns
    assert put(share) == [len(CONTENT)]
    assert (share / NAME).stat().st_mtime_ns == written


@pytest.mark.parametrize("broken_at", [0, 1, 1 << 20, (1 << 20) + 7, len(CONTENT) - 1])
def test_what_broke_off_is_invisible_and_resumed_at_that_byte(share: Path, broken_at: int) -> None:
    with pytest.raises(Interrupted, match=rf"{broken_at} of {len(CONTENT)} bytes came"):
        put(share, CONTENT[:broken_at])
    assert not (share / NAME).exists()
    assert list_files(share, "datasets") == []
    assert put(share) == [broken_at]
    assert (share / NAME).read_bytes() == CONTENT
    assert files(share) == [NAME]


def test_a_corrupted_partial_file_is_thrown_away_and_never_gets_the_name(share: Path) -> None:
    with pytest.raises(Interrupted):
        put(share, CONTENT[:1000])
    [partial] = [share / name for name in files(share)]
    partial.write_bytes(b"x" * 1000)
    with pytest.raises(WorkloadError, match="what came has another hash"):
        put(share)
    assert files(share) == []
    assert put(share) == [0]


def test_a_partial_file_that_is_too_long_starts_over(share: Path) -> None:
    with pytest.raises(Interrupted):
        put(share, CONTENT[:1000])
    [partial] = [share / name for name in files(share)]
    partial.write_bytes(CONTENT + b"x")
    assert put(share) == [0]
    assert (share / NAME).read_bytes() == CONTENT


def test_a_source_that_changed_meanwhile_starts_over_and_leaves_no_rest(share: Path) -> None:
    other = CONTENT[:-1] + b"x"
    with pytest.raises(Interrupted):
        receive(
            share, NAME, len(other), hashlib.sha256(other).hexdigest(), io.BytesIO(other[:1000])
        )
    assert put(share) == [0]
    assert files(share) == [NAME]


def test_another_dataset_of_the_name_or_the_day_is_not_replaced(share: Path) -> None:
    (share / "datasets/training").mkdir(parents=True)
    (share / NAME).write_bytes(b"other")
    with pytest.raises(UsageError, match="may have been learned is not replaced"):
        put(share)
    assert (share / NAME).read_bytes() == b"other"
    with pytest.raises(UsageError, match="is of the same day as"):
        put(share, name="datasets/training/2018-04-01.parquet")


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
        put(share, name=name)
    assert files(share) == []


@pytest.mark.parametrize("link", ["datasets", "datasets/training"])
def test_a_symbolic_link_that_leads_elsewhere_is_not_followed(share: Path, link: str) -> None:
    outside = share.parent / "outside"
    (outside / "training").mkdir(parents=True)
    (share / link).parent.mkdir(exist_ok=True)
    (share / link).symlink_to(outside)
    with pytest.raises(UsageError, match="a symbolic link leads elsewhere"):
        put(share)
    assert not [path for path in outside.rglob("*") if path.is_file()]


def test_results_are_listed_without_hidden_files_directories_and_links(share: Path) -> None:
    output = share / "output"
    (output / ".checkpoints").mkdir(parents=True)
    (output / ".ledger.jsonl.0.tmp").write_bytes(b"half")
    (output / "ledger.jsonl").write_bytes(CONTENT)
    (output / "passwd").symlink_to("/etc/passwd")
    assert list_files(share, "output") == [SharedFile("output/ledger.jsonl", len(CONTENT), DIGEST)]


@pytest.mark.parametrize("offset", [0, 1, len(CONTENT)])
def test_a_result_is_sent_from_any_byte(share: Path, offset: int) -> None:
    (share / "output").mkdir()
    (share / "output/report.html").write_bytes(CONTENT)
    sink = io.BytesIO()
    send(share, "output/report.html", offset, sink)
    assert sink.getvalue() == CONTENT[offset:]


@pytest.mark.parametrize(
    "name",
    ["output/../secret", "output/.secret", "datasets/training/2018-04-01.pkl", "output"],
)
def test_nothing_is_sent_from_outside_the_results(share: Path, name: str) -> None:
    (share / "output").mkdir()
    (share / "secret").write_bytes(b"secret")
    with pytest.raises(UsageError, match="not a path of output"):
        send(share, name, 0, io.BytesIO())


def test_no_link_among_the_results_is_sent(share: Path) -> None:
    (share / "output").mkdir()
    (share / "output/link").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="no such file"):
        send(share, "output/link", 0, io.BytesIO())


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
    arguments = ("receive", NAME, "--size", str(len(CONTENT)), "--sha256", DIGEST)
    broken = workload(share, *arguments, content=CONTENT[:5000])
    assert (broken.returncode, broken.stdout) == (1, b"0\n")
    assert broken.stderr.count(b"\n") == 1
    rest = workload(share, *arguments, content=CONTENT[5000:])
    assert (rest.returncode, rest.stdout) == (0, b"5000\n"), rest.stderr
    listed = json.loads(workload(share, "list", "datasets", "--json").stdout)
    assert listed == [{"path": NAME, "size": len(CONTENT), "sha256": DIGEST}]
    (share / "output").mkdir()
    (share / "output/report.txt").write_bytes(CONTENT)
    assert workload(share, "send", "output/report.txt", "--offset", "9").stdout == CONTENT[9:]


def test_a_share_that_is_not_mounted_is_one_line(share: Path) -> None:
    share.rmdir()
    result = workload(share, "receive", NAME, "--size", "1", "--sha256", DIGEST, content=b"x")
    assert result.returncode == 1
    assert b"no such directory; mount the share" in result.stderr
    assert not share.exists()

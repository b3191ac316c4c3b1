"""Transfer: every file whole or not there, nothing replaced, a broken transfer can be repeated."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from workload.errors import ShareUnusable, UsageError
from workload.share.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = ["testing/test_dataset.pkl", "training/2018-04-01.pkl", "training/2018-04-02.csv.gz"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 1000)
    return root


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return tmp_path / "share"


def contents(share: Path) -> dict[str, bytes]:
    """Return every file below `datasets`, hidden ones too."""
    root = share / "datasets"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_files_arrive_equal_under_their_names(source: Path, share: Path) -> None:
    seen: list[str] = []
    done = transfer(source, share, seen.append)
    assert (done.copied, done.present) == (FILES, [])
    assert seen == FILES
    assert contents(share) == {name: (source / name).read_bytes() for name in FILES}


def test_equal_files_are_left_alone(source: Path, share: Path) -> None:
    transfer(source, share)
    times = [(share / "datasets" / name).stat().st_mtime_ns for name in FILES]
    done = transfer(source, share)
    assert (done.copied, done.present) == ([], FILES)
    assert [(share / "datasets" / name).stat().st_mtime_ns for name in FILES] == times


def test_share_may_be_its_own_source(source: Path, share: Path) -> None:
    transfer(source, share)
    assert transfer(share / "datasets", share).present == FILES


def test_another_content_is_refused_and_kept(source: Path, share: Path) -> None:
    transfer(source, share)
    target = share / "datasets" / FILES[2]
    target.write_bytes(b"other")
    with pytest.raises(UsageError, match=r"2018-04-02.csv.gz: differs from .*; a dataset that may"):
        transfer(source, share)
    assert target.read_bytes() == b"other"


def _breaks(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])
    raise OSError(errno.EIO, "broken off")


def _full(_path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _interrupted(_path: Path) -> None:
    raise KeyboardInterrupt


def _differs(path: Path) -> None:
    path.write_bytes(b"being written")


@pytest.mark.parametrize(
    ("accident", "error"),
    [
        (_breaks, OSError),
        (_full, ShareUnusable),
        (_interrupted, KeyboardInterrupt),
        (_differs, UsageError),
    ],
)
def test_copy_that_fails_leaves_no_partial_file_and_is_resumed(
    source: Path,
    share: Path,
    monkeypatch: pytest.MonkeyPatch,
    accident: Callable[[Path], None],
    error: type[BaseException],
) -> None:
    copy = shutil.copyfile

    def copyfile(path: Path, target: Path) -> Path:
        assert target.name.startswith("."), "a partial file would be visible under its name"
        copy(path, target)
        if path.name == "2018-04-02.csv.gz":
            accident(target)
        return target

    with monkeypatch.context() as patch:
        patch.setattr("workload.share.transfer.shutil.copyfile", copyfile)
        with pytest.raises(error):
            transfer(source, share)
    assert sorted(contents(share)) == FILES[:2]
    done = transfer(source, share)
    assert (done.copied, done.present) == (FILES[2:], FILES[:2])
    assert contents(share) == {name: (source / name).read_bytes() for name in FILES}


def test_hidden_temporary_and_foreign_names_are_ignored(source: Path, share: Path) -> None:
    for name in (".2018-04-03.pkl", ".2018-04-03.pkl.0.tmp", "2018-04-03.pkl.tmp", "notes.txt"):
        (source / "training" / name).write_bytes(b"content")
    (source / "training/2018-04-04.pkl").mkdir()
    (source / "elsewhere").mkdir()
    (source / "elsewhere/2018-04-05.pkl").write_bytes(b"content")
    transfer(source, share)
    assert sorted(contents(share)) == sorted(FILES)


@pytest.mark.parametrize("present", [[], ["testing/test_dataset.pkl"], ["2018-04-01.pkl"]])
def test_missing_layout_is_one_line_and_nothing_is_copied(
    tmp_path: Path, share: Path, present: list[str]
) -> None:
    source = tmp_path / "wrong"
    for name in present:
        (source / name).parent.mkdir(parents=True)
        (source / name).write_bytes(b"content")
    with pytest.raises(
        UsageError, match=r"wrong: no datasets; expected .*wrong/training/YYYY-MM-DD with \.pkl"
    ) as caught:
        transfer(source, share)
    assert "\n" not in str(caught.value)
    assert not share.exists()


def test_two_formats_of_one_day_are_refused_before_anything_is_copied(
    source: Path, share: Path
) -> None:
    for extra in ("2018-04-01.CSV.gz", "2018-04-02.pickle"):
        path = source / "training" / extra
        path.write_bytes(b"again")
        with pytest.raises(UsageError, match="are of one day; keep one of them"):
            transfer(source, share)
        path.unlink()
    assert not share.exists()
    target = share / "datasets/training/2018-04-02.PKL.xz"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"learned")
    with pytest.raises(UsageError, match=r"2018-04-02.PKL.xz: is of the same day as .*csv.gz"):
        transfer(source, share)
    assert contents(share) == {"training/2018-04-02.PKL.xz": b"learned"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_is_not_blamed_on_the_source(
    source: Path, share: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As `shutil.copyfile` does, whose fast path names the source only."""

    def full(path: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(path), None, str(target))

    monkeypatch.setattr("workload.share.transfer.shutil.copyfile", full)
    with pytest.raises(ShareUnusable, match=os.strerror(number).lower()) as caught:
        transfer(source, share)
    assert str(share) in str(caught.value)
    assert str(source) not in str(caught.value)


def test_a_limit_that_the_kernel_sets_is_said_as_such(source: Path, share: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from workload.errors import ShareUnusable\n"
        "from workload.share.transfer import transfer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: transfer(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ShareUnusable as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(source), str(share)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"{share}/datasets/testing/test_dataset.pkl: file too large" in done.stdout
    assert contents(share) == {}


def test_another_testing_dataset_says_how_to_go_on(source: Path, share: Path) -> None:
    transfer(source, share)
    (source / FILES[0]).write_bytes(b"a later day")
    with pytest.raises(UsageError, match="leave this one out to go on, or use another share"):
        transfer(source, share)
    (source / FILES[0]).unlink()
    (source / "training/2018-04-03.pkl").write_bytes(b"more")
    assert transfer(source, share).copied == ["training/2018-04-03.pkl"]


def test_unreadable_source_is_not_blamed_on_the_share(
    source: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path, _target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("workload.share.transfer.shutil.copyfile", unreadable)
    with pytest.raises(Exception, match="permission denied") as caught:
        transfer(source, share)
    assert str(source) in str(caught.value)
    assert not isinstance(caught.value, ShareUnusable)

"""Copies results from the share, through a pod: `fetch DIRECTORY POD`.

All files come through one command in the pod; `workload/share/stream.py` says how. Pod and share
may say what they like: only files of these names are taken, over nothing that is not of an earlier
fetch, and never more than there is room for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import deque
from pathlib import Path, PurePosixPath
from typing import IO

from scripts.cluster.console import Failure, Line, amount, run, unknown_arguments
from scripts.cluster.pipes import talking
from scripts.cluster.resuming import ResumedTransfer
from workload.errors import UsageError
from workload.share.durable import sha256, sync, write_atomic, writing
from workload.share.store import OUTPUT
from workload.share.stream import (
    END,
    Interrupted,
    SharedFile,
    leftovers,
    offset_of,
    partial_path,
    read_list,
    request_line,
)

LEDGER = f"{OUTPUT}/ledger.jsonl"

REPLACED = {LEDGER, *(f"{OUTPUT}/{name}" for name in ("dead.jsonl", "report.txt", "report.html"))}
"""What is there in a new version after each dataset, or each run."""

LARGEST = 1 << 28
"""Most bytes of each of these."""

LARGEST_CHECKPOINT = 4 << 30
"""Most bytes of a checkpoint: no larger one is written or read."""

SPARE = 1 << 28
"""Bytes that stay free on the disk."""

RECEIPT = ".fetched.json"
"""In the directory: the hashes of what may be replaced there, as it is of an earlier fetch."""

_CHECKPOINT = re.compile(rf"{OUTPUT}/model_cpt_[^/\0]+\.pkl")

_CHUNK = 1 << 18

_SHOWN = 5
"""Names that are shown of files that were left."""

_ASKED = 16
"""Files that are asked for before the first of them has come: their lines fit into a pipe."""


def fetch_all(directory: Path, pod: str) -> None:
    """Copy ledger, reports, and the checkpoints that the ledger proves."""
    fetching = _Fetching(directory, Line())
    fetching.persist(pod)
    fetching.tell()


class _Fetching(ResumedTransfer):
    """Results on their way to a directory."""

    def __init__(self, directory: Path, line: Line) -> None:
        super().__init__(line)
        self.directory = directory
        self.present = 0
        self.wrong: list[str] = []
        self.left: list[str] = []
        self._receipt = _read_receipt(directory / RECEIPT)
        self._old: dict[str, list[Path]] = {}
        self._taken: set[str] = set()

    def attempt(self, pod: str) -> None:
        with talking(pod, "share", "send") as (sink, source):
            there = {file.path: file for file in _results(source)}
            self.directory.mkdir(parents=True, exist_ok=True)
            self._old = leftovers(self.directory)
            proven: dict[str, str] = {}
            if LEDGER in there:
                # First, so that it names no checkpoint that was published after the list was made.
                self._fetch(self._wanted([LEDGER], there, proven), sink, source)
                if self.wrong:
                    raise Failure(self.wrong[0])
                proven = _proven(self._target(LEDGER))
            self.left = [PurePosixPath(n).name for n in there if n not in {*proven, *REPLACED}]
            reports = [name for name in there if name in REPLACED and name != LEDGER]
            self._fetch(self._wanted([*reports, *proven], there, proven), sink, source)
            sink.write(END)

    def _wanted(
        self, names: list[str], there: dict[str, SharedFile], proven: dict[str, str]
    ) -> list[SharedFile]:
        """Return what must be fetched; note what must not be, and what is here.

        Raises:
            Failure: there is no room for it.
        """
        reasons = {name: self._refusal(name, there, proven) for name in dict.fromkeys(names)}
        self.wrong = [reason for reason in reasons.values() if reason]
        allowed = [there[name] for name, reason in reasons.items() if not reason]
        wanted = [file for file in allowed if not _is_here(file, self._target(file.path))]
        missing = {file.path for file in wanted} | self._taken
        self.present = sum(file.path not in missing for file in allowed)
        size = sum(file.size - offset_of(self._target(file.path), file) for file in wanted)
        free = max(0, shutil.disk_usage(self.directory).free - SPARE)
        if size > free:
            raise Failure(
                f"{self.directory}: the results need {amount(size)} more and there is room for "
                f"{amount(free)}; free some, or fetch into a directory on another disk"
            )
        return wanted

    def _refusal(
        self, name: str, there: dict[str, SharedFile], proven: dict[str, str]
    ) -> str | None:
        """Return why a file is not fetched; None when it may be."""
        target = self._target(name)
        if name not in REPLACED and not _CHECKPOINT.fullmatch(name):
            return f"{name}: the ledger names it, and it is no checkpoint's name; not fetched"
        if name not in there:
            return f"{name}: the ledger names it, and it is not on the share"
        file, most = there[name], LARGEST if name in REPLACED else LARGEST_CHECKPOINT
        if file.size > most:
            return f"{name}: has {file.size} bytes; at most {most} are fetched"
        if proven.get(name, file.sha256) != file.sha256:
            return f"{name}: its hash is not the ledger's; not fetched"
        if os.path.lexists(target) and not self._is_ours(file, target):
            return f"{target}: has another content; fetch into another directory"
        return None

    def _is_ours(self, file: SharedFile, target: Path) -> bool:
        """Return whether a file is the one to fetch, or of an earlier fetch."""
        known = (file.sha256, *self._receipt.get(target.name, ()))
        return target.is_file() and sha256(target) in known

    def _fetch(self, files: list[SharedFile], sink: IO[bytes], source: IO[bytes]) -> None:
        """Ask for files, some ahead, and take them in turn."""
        ahead = deque(files)
        asked: deque[tuple[SharedFile, int]] = deque()
        while ahead or asked:
            while ahead and len(asked) < _ASKED:
                file = ahead.popleft()
                offset = offset_of(self._target(file.path), file)
                asked.append((file, offset))
                sink.write(request_line(file.path, offset))
            sink.flush()
            self._take(*asked.popleft(), source)

    def _take(self, file: SharedFile, offset: int, source: IO[bytes]) -> None:
        """Take a file from a byte on; it gets its name when it is whole and has its hash."""
        self.at, target = file.path, self._target(file.path)
        partial = partial_path(target, file)
        with writing(partial), partial.open("ab") as sink:
            sink.truncate(offset)
            while offset < file.size:
                chunk = source.read(min(_CHUNK, file.size - offset))
                if not chunk:
                    raise EOFError
                sink.write(chunk)
                offset += len(chunk)
                self.line.update(f"{file.path}  {amount(offset)} of {amount(file.size)}")
            sink.flush()
            os.fsync(sink.fileno())
        if sha256(partial) != file.sha256:
            partial.unlink()
            raise ConnectionError("what came has another hash, or the file was replaced meanwhile")
        if file.path in REPLACED:
            before = [sha256(target)] if target.exists() else []
            self._receipt[target.name] = [*before, file.sha256]
            write_atomic(self.directory / RECEIPT, json.dumps(self._receipt).encode() + b"\n")
        partial.replace(target)
        for stale in self._old.get(target.name, ()):
            stale.unlink(missing_ok=True)
        sync(self.directory)
        if file.path != LEDGER:
            self._taken.add(file.path)
            self.copied = len(self._taken)
        self.line.stay(f"{file.path}  {amount(file.size)}")

    def _target(self, name: str) -> Path:
        return self.directory / PurePosixPath(name).name

    def tell(self) -> None:
        """Print what has become of the results; raises Failure when some are wrong."""
        there = f"{self.present} were there"
        self.line.stay(f"Fetched {self.copied} files to {self.directory}, {there}")
        if self.left:
            names = ", ".join(self.left[:_SHOWN]) + (", ..." if self.left[_SHOWN:] else "")
            self.line.stay(f"Left on the share, not named by the ledger: {names}")
        for each in self.wrong:
            self.line.stay(f"WRONG {each}")
        if self.wrong:
            raise Failure(f"{len(self.wrong)} results are missing or wrong")
        if (self.directory / "report.html").is_file():
            self.line.stay(f"Report: {self.directory / 'report.html'}")


def _results(source: IO[bytes]) -> list[SharedFile]:
    """Return what the share has.

    Raises:
        Failure: nothing, or the list makes no sense.
        EOFError: the list broke off.
    """
    try:
        files = read_list(source, OUTPUT)
    except UsageError as error:
        raise Failure(f"unexpected list of the share: {error}") from error
    except Interrupted as error:
        raise EOFError from error
    if not files:
        raise Failure("the share has no results yet: scripts/status.sh shows the progress")
    return files


def _proven(ledger: Path) -> dict[str, str]:
    """Return the hash of each checkpoint that a ledger proves, by path."""
    try:
        lines = [json.loads(each) for each in ledger.read_text("utf-8").splitlines()]
        return {f"{OUTPUT}/{each['checkpoint_file']}": each["checkpoint"] for each in lines}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Failure(f"{ledger}: not a ledger; scripts/workload.sh queue rebuild") from error


def _read_receipt(path: Path) -> dict[str, list[str]]:
    """Return what earlier fetches have put beside a receipt; nothing when it is unreadable."""
    try:
        content = json.loads(path.read_bytes())
        return {str(name): [str(each) for each in digests] for name, digests in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _is_here(file: SharedFile, target: Path) -> bool:
    return target.is_file() and sha256(target) == file.sha256


def _main() -> None:
    match sys.argv[1:]:
        case ["fetch", directory, pod]:
            fetch_all(Path(directory), pod)
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

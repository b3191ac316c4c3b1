"""Copies datasets to the share and results from it, through a pod: ``send|fetch DIRECTORY POD``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from scripts.cluster import kube
from scripts.cluster.console import Failure, Line, amount, pause, run
from workload.errors import UsageError
from workload.exchange import SharedFile
from workload.share import sync
from workload.transfer import dataset_files, sha256

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 5
"""How often the connection may break at one file."""

LEDGER = "output/ledger.jsonl"

_CHUNK = 1 << 18
_REFUSED = 2
"""Exit code of a command that another try can't help."""


def listed(pod: str, area: str) -> dict[str, SharedFile]:
    """The files on the share by path."""
    words = kube.in_pod(pod, "share", "list", area, "--json")
    done = subprocess.run(words, capture_output=True, check=False)  # noqa: S603
    try:
        files: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else []
    except ValueError as error:
        raise Failure("the list of the share came broken; try again") from error
    if done.returncode:
        raise Failure(f"the share can't be listed: {kube.reason(done.stderr)}", done.returncode)
    return {file["path"]: SharedFile(**file) for file in files}


def _persistently(what: str, attempt: Callable[[], None], line: Line) -> None:
    """Repeats an attempt whose connection broke; it goes on where it was."""
    for number in range(1, TRIES + 1):
        try:
            return attempt()
        except ConnectionError as error:
            if number == TRIES:
                raise Failure(f"{what}: {error}; run this again, it goes on from there") from error
            line.stay(f"{what}: {error}; going on")
            pause(min(2 ** (number - 1), 8))
    return None


# To the share


def send_all(directory: Path, pod: str) -> None:
    """Copies the datasets that the share does not have."""
    files = dataset_files(directory)
    print(f"{len(files)} files in {directory}; comparing with the share", flush=True)  # noqa: T201
    there = listed(pod, "datasets")
    line, copied, present = Line(), 0, 0
    for number, path in enumerate(files, 1):
        name = f"datasets/{path.parent.name}/{path.name}"
        digest, size = sha256(path), path.stat().st_size
        if name in there and there[name].sha256 == digest:
            present += 1
            continue
        head = f"{number}/{len(files)} {name}"
        remote = SharedFile(name, size, digest)
        _persistently(name, partial(_send, path, remote, pod, line, head), line)
        line.stay(f"{head}  {amount(size)}")
        copied += 1
    line.stay(f"Transferred {copied} files, {present} were there")


def _send(path: Path, remote: SharedFile, pod: str, line: Line, head: str) -> None:
    name, size = remote.path, remote.size
    promise = ("--size", str(size), "--sha256", remote.sha256)
    words = kube.in_pod(pod, "share", "receive", name, *promise)
    with (
        path.open("rb") as source,
        subprocess.Popen(  # noqa: S603 - kubectl of the operator
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as receiver,
    ):
        sink, answer, errors = receiver.stdin, receiver.stdout, receiver.stderr
        if sink is None or answer is None or errors is None:
            raise Failure("no pipe to kubectl")
        first = answer.readline()
        if first.strip().isdigit():
            offset = int(first)
            source.seek(offset)
            try:
                while offset < size and (chunk := source.read(min(_CHUNK, size - offset))):
                    sink.write(chunk)
                    offset += len(chunk)
                    line.update(f"{head}  {amount(offset)} of {amount(size)}")
                sink.close()
            except BrokenPipeError:
                pass  # how it ended says why
        reason, code = kube.reason(errors.read()), receiver.wait()
    if code == _REFUSED:
        raise Failure(reason, _REFUSED)
    if code or not first:
        raise ConnectionError(reason)


# From the share


def fetch_all(directory: Path, pod: str) -> None:
    """Copies ledger, reports, and the checkpoints that the ledger proves."""
    there = listed(pod, "output")
    if not there:
        raise Failure("the share has no results yet: scripts/status.sh tells how far it is")
    directory.mkdir(parents=True, exist_ok=True)
    line = Line()
    # First, so that it names no checkpoint that was published after the list was made.
    proven = _fetch_ledger(there, directory, pod, line)
    others = [name for name in there if name != LEDGER and not _is_checkpoint(name)]
    wrong, copied = [], 0
    for name in [*others, *proven]:
        target = directory / PurePosixPath(name).name
        if reason := _refusal(name, there, proven, target):
            wrong.append(reason)
        elif not target.is_file() or sha256(target) != there[name].sha256:
            _fetch(there[name], target, pod, line)
            copied += 1
    present = len(others) + len(proven) - copied - len(wrong)
    line.stay(f"Fetched {copied} files to {directory}, {present} were there, and the ledger")
    for each in wrong:
        line.stay(f"WRONG {each}")
    if wrong:
        raise Failure(f"{len(wrong)} results are missing or wrong")
    if (directory / "report.html").is_file():
        line.stay(f"Report: {directory / 'report.html'}")


def _fetch_ledger(
    there: dict[str, SharedFile], directory: Path, pod: str, line: Line
) -> dict[str, str]:
    """Copies the ledger; returns the hash of each checkpoint that it proves, by path."""
    if LEDGER not in there:
        return {}
    target = directory / "ledger.jsonl"
    if not target.is_file() or sha256(target) != there[LEDGER].sha256:
        _fetch(there[LEDGER], target, pod, line)
    lines = [json.loads(each) for each in target.read_text("utf-8").splitlines()]
    return {f"output/{each['checkpoint_file']}": each["checkpoint"] for each in lines}


def _refusal(
    name: str, there: dict[str, SharedFile], proven: dict[str, str], target: Path
) -> str | None:
    """Why a file is not fetched; None when it may be."""
    if name not in there:
        return f"{name}: the ledger names it, and it is not on the share"
    if name not in proven:
        return None
    if there[name].sha256 != proven[name]:
        return f"{name}: its hash is not the ledger's; not fetched"
    if target.exists() and sha256(target) != proven[name]:
        return f"{target}: has another content; fetch into another directory"
    return None


def _is_checkpoint(name: str) -> bool:
    return PurePosixPath(name).name.startswith("model_cpt_")


def _fetch(remote: SharedFile, target: Path, pod: str, line: Line) -> None:
    rest = target.with_name(f".{target.name}.{remote.sha256}.partial")
    _persistently(remote.path, partial(_receive, remote, rest, pod, line), line)
    rest.replace(target)
    for stale in target.parent.glob(f".{target.name}.*.partial"):
        stale.unlink(missing_ok=True)
    sync(target.parent)
    line.stay(f"{remote.path}  {amount(remote.size)}")


def _receive(remote: SharedFile, rest: Path, pod: str, line: Line) -> None:
    offset = rest.stat().st_size if rest.exists() else 0
    if offset < remote.size or not rest.exists():
        words = kube.in_pod(pod, "share", "send", remote.path, "--offset", str(offset))
        with (
            rest.open("ab") as sink,
            subprocess.Popen(  # noqa: S603 - kubectl of the operator
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            ) as sender,
        ):
            source, errors = sender.stdout, sender.stderr
            if source is None or errors is None:
                raise Failure("no pipe from kubectl")
            while chunk := source.read(_CHUNK):
                sink.write(chunk)
                offset += len(chunk)
                line.update(f"{remote.path}  {amount(offset)} of {amount(remote.size)}")
            sink.flush()
            os.fsync(sink.fileno())
            reason, code = kube.reason(errors.read()), sender.wait()
        if code == _REFUSED:
            raise Failure(reason, _REFUSED)
        if offset < remote.size:
            raise ConnectionError(reason)
    if sha256(rest) != remote.sha256:
        rest.unlink()
        raise ConnectionError("what came has another hash, or the file was replaced meanwhile")


def _main() -> None:
    match sys.argv[1:]:
        case ["send", directory, pod]:
            send_all(Path(directory), pod)
        case ["fetch", directory, pod]:
            fetch_all(Path(directory), pod)
        case ["check", directory]:
            dataset_files(Path(directory))
        case words:
            raise UsageError(f"no such words: {words}")


if __name__ == "__main__":
    run(_main)

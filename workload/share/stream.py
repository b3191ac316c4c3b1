"""Many files between an operator's machine and the share, through one pipe that may break.

To the share (`receive`): a list of files comes first, a JSON object a line (`path`, `size`,
`sha256`), ended by an empty line. Each is answered by a line: `present`, or the byte that it
must start at. Then the missing bytes come, file after file, with nothing in between; a line
`stored` answers each file.

From the share (`send`): such a list goes out first. Then each line that comes, a JSON object
(`path`, `offset`), is answered by the bytes of that file from the offset on, as many as the
list told. An empty line ends it.

So both sides know at every byte what must come next, and an end anywhere else is a broken pipe.
What arrives is written to a hidden file that carries the hash of the whole in its name, so that the
rest can be sent later. The file gets its own name when it is whole and has that hash.
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from workload.errors import UsageError, WorkloadError
from workload.share.durable import rename, sha256, writing
from workload.share.listing import is_dataset
from workload.share.store import OUTPUT, TESTING, TRAINING, require_plain_output
from workload.share.transfer import is_there, require_one_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

CHUNK = 1 << 20
"""Most bytes that are read and written at a time."""

LINE = 4096
"""Longest line of either side, in bytes; a file's name has 255 at most."""

FILES = 100_000
"""Most files of one list."""

PRESENT, STORED = "present", "stored"
"""Answers: the file is there already, and it is whole now."""

_FOLDERS = {"datasets": (TRAINING, TESTING), OUTPUT: (OUTPUT,)}
_PARTIAL = re.compile(r"\.(.+)\.[0-9a-f]{64}\.partial")


class Interrupted(WorkloadError):
    """The pipe ended before all had come; what came is kept."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file on the share: path below it, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def list_files(root: Path, area: str) -> list[SharedFile]:
    """Return the files that can be sent or received, without hidden ones.

    Args:
        root: of the share.
        area: `datasets` or `output`.

    Raises:
        UsageError: `output` is a link.
    """
    if area == OUTPUT:
        require_plain_output(root)
    found = []
    for folder in _FOLDERS[area]:
        directory = root / folder
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            if path.name.startswith(".") or (area != OUTPUT and not is_dataset(path.name)):
                continue
            with suppress(FileNotFoundError):  # replaced by its writer a moment ago
                mode = path.lstat()
                if stat.S_ISREG(mode.st_mode):
                    found.append(SharedFile(f"{folder}/{path.name}", mode.st_size, sha256(path)))
    return found


# Unfinished files, for both sides


def partial_path(target: Path, file: SharedFile) -> Path:
    """Return where a file is kept until it is whole."""
    return target.with_name(f".{target.name}.{file.sha256}.partial")


def offset_of(target: Path, file: SharedFile) -> int:
    """Return how many bytes of a file have come; 0 when they are more than it has."""
    with suppress(FileNotFoundError):
        size = partial_path(target, file).lstat().st_size
        return size if size <= file.size else 0
    return 0


def leftovers(folder: Path) -> dict[str, list[Path]]:
    """Return what earlier attempts left in a folder, by the name that it would have got."""
    found: dict[str, list[Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _PARTIAL.fullmatch(path.name):
            found.setdefault(match[1], []).append(path)
    return found


# Lists and requests, for both sides


def list_lines(files: Sequence[SharedFile]) -> Iterator[bytes]:
    """Yield a list as it goes through the pipe, line by line."""
    if len(files) > FILES:
        raise UsageError(f"{len(files)} files: at most {FILES} can be copied at a time")
    for file in files:
        yield _line(asdict(file))
    yield b"\n"


def read_list(stream: IO[bytes], area: str) -> list[SharedFile]:
    """Read a list to its end.

    Raises:
        UsageError: it is none, is too long, or names a file that is not of the area.
        Interrupted: the stream ended within it.
    """
    files = []
    for fields in _objects(stream):
        match fields:
            case {"path": str(path), "size": int(size), "sha256": str(digest), **more} if (
                size >= 0 and re.fullmatch("[0-9a-f]{64}", digest) and not more
            ):
                check_path(path, area)
                files.append(SharedFile(path, size, digest))
            case _:
                raise UsageError("the list of files is broken: a line needs path, size and sha256")
        if len(files) > FILES:
            raise UsageError(f"the list of files is too long: at most {FILES}")
    return files


def request_line(path: str, offset: int) -> bytes:
    """Return the line that asks for a file of the list, from a byte on."""
    return _line({"path": path, "offset": offset})


END = b"\n"
"""Ends the requests."""


def check_path(name: str, area: str) -> None:
    """Check a path of the area.

    Raises:
        UsageError: it is not a visible file's right in a folder of the area.
    """
    parts = PurePosixPath(name)
    if (
        str(parts) != name
        or not name.isprintable()
        or str(parts.parent) not in _FOLDERS[area]
        or parts.name.startswith(".")
        or (area != OUTPUT and not is_dataset(parts.name))
    ):
        allowed = " or ".join(f"{folder}/NAME" for folder in _FOLDERS[area])
        raise UsageError(f"{name!r}: not a path of {area}; write {allowed}")


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _objects(stream: IO[bytes]) -> Iterator[Any]:
    """Yield what the lines up to the empty one hold."""
    while (line := stream.readline(LINE)) != b"\n":
        if len(line) == LINE:
            raise UsageError(f"a line is longer than {LINE} bytes")
        if not line.endswith(b"\n"):
            raise Interrupted("the connection broke before the list was complete")
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError("a line is no JSON object") from error


# The share's side


def receive(root: Path, stream: IO[bytes], answer: Callable[[str], None]) -> None:
    """Take datasets from a stream, each from where an earlier attempt broke off.

    Nothing is stored when one of them is refused.

    Args:
        root: of the share.
        stream: the list, then the bytes.
        answer: told one line at a time what the sender must know.

    Raises:
        UsageError: a path leads elsewhere, or the share has another dataset of that name or day.
        Interrupted: the stream ended early.
        WorkloadError: what came is not the file that was promised; it is thrown away.
        ShareUnusable: the share is full or can't be written.
    """
    files = read_list(stream, "datasets")
    old = {root / folder: leftovers(root / folder) for folder in _FOLDERS["datasets"]}
    awaited = []
    targets = {root / file.path: "the file to copy" for file in files}
    for target in targets:
        _confined(root, target)
    require_one_format(targets)
    for file in files:
        target = root / file.path
        with writing(target):
            if is_there(target, file.sha256, "the file to copy"):
                _discard(target, old)
                answer(PRESENT)
            else:
                awaited.append((file, target, offset := offset_of(target, file)))
                answer(str(offset))
    for file, target, offset in awaited:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _confined(root, target)
            _complete(target, file, offset, stream)
            _discard(target, old)
        answer(STORED)


def send(root: Path, stream: IO[bytes], sink: IO[bytes]) -> None:
    """List the results, then write those that the stream asks for.

    Raises:
        UsageError: a result is asked for that was not listed, or the question is none.
        Interrupted: the stream ended before it said so.
        WorkloadError: a result became shorter meanwhile.
    """
    files = list_files(root, OUTPUT)
    sink.writelines(list_lines(files))
    sink.flush()
    listed = {file.path: file for file in files}
    for fields in _objects(stream):
        match fields:
            case {"path": str(path), "offset": int(offset), **more} if offset >= 0 and not more:
                if path not in listed or offset > listed[path].size:
                    raise UsageError(f"{path!r}: no such file among the results, or no such byte")
                _send(root, listed[path], offset, sink)
            case _:
                raise UsageError("a question is broken: it needs path and offset")


def _send(root: Path, file: SharedFile, offset: int, sink: IO[bytes]) -> None:
    path = root / file.path
    _confined(root, path)
    left = file.size - offset
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source:
        source.seek(offset)
        while left > 0 and (chunk := source.read(min(CHUNK, left))):
            sink.write(chunk)
            left -= len(chunk)
    sink.flush()
    if left > 0:
        raise WorkloadError(f"{path}: was replaced while it was copied; try again")


def _confined(root: Path, path: Path) -> None:
    if path.parent.resolve() != root.resolve() / path.parent.relative_to(root):
        raise UsageError(f"{path.parent}: a symbolic link leads elsewhere")


def _discard(target: Path, old: dict[Path, dict[str, list[Path]]]) -> None:
    for partial in old[target.parent].get(target.name, ()):
        partial.unlink(missing_ok=True)


def _complete(target: Path, file: SharedFile, offset: int, stream: IO[bytes]) -> None:
    """Write a file from `offset` on and give it its name.

    Each byte is written at its own place: an attempt whose connection broke may still be at work
    on the same file, and then writes the same.
    """
    partial = partial_path(target, file)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(partial, flags, 0o644), "wb") as sink:
        if os.fstat(sink.fileno()).st_size > file.size:
            sink.truncate(0)
        sink.seek(offset)
        while offset < file.size and (chunk := stream.read(min(CHUNK, file.size - offset))):
            sink.write(chunk)
            offset += len(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    if offset < file.size:
        raise Interrupted(f"{target}: {offset} of {file.size} bytes came; send the rest again")
    if sha256(partial) != file.sha256:
        partial.unlink(missing_ok=True)
        raise WorkloadError(f"{target}: what came has another hash; send it again")
    if is_there(target, file.sha256, "the file to copy"):  # another transfer was faster
        partial.unlink(missing_ok=True)
        return
    rename(partial, target)

"""The compressions that pandas writes, undone within bounds: of memory, and of what comes out."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol

from workload.errors import DatasetRefused
from workload.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 1 << 30
"""Most bytes that a compressed file may expand to."""
MAX_EXPANSION = 100
"""Most times its own size a compressed file may expand to; real ones reach about 10."""

_PIECE = 1 << 16
_XZ_MEMORY = 1 << 28
"""Bytes; `xz -9` needs 65 MiB, and a file of a few bytes can ask for 4 GiB."""
_ZEROS = re.compile(rb"\0*")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def expand(content: bytes, compression: str) -> bytes:
    """Return the bytes that a compressed file holds.

    Args:
        content: of the file.
        compression: one of `COMPRESSIONS`.

    Raises:
        DatasetRefused: they are damaged, cut off, or expand too far.
    """
    limit = min(MAX_BYTES, MAX_EXPANSION * len(content) + 4096)
    try:
        expanded = _EXPAND[compression](content, limit)
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise DatasetRefused(f"is not a readable {compression} file ({excerpt(error)})") from error
    if len(expanded) > limit:
        raise DatasetRefused(
            f"expands to more than {limit} bytes; allowed are {MAX_EXPANSION} times its size "
            f"and {MAX_BYTES} bytes"
        )
    return expanded


def _members(new: Callable[[], _Decompressor]) -> Callable[[bytes, int], bytes]:
    """Return what expands a file of one or more members to at most `limit` + 1 bytes."""

    def expand_members(content: bytes, limit: int) -> bytes:
        parts: list[bytes] = []
        left, at = limit + 1, 0
        while at < len(content) and left > 0:
            member = new()
            while not member.eof and left > 0:
                if at == len(content):
                    raise DatasetRefused("ends in the middle of the compressed data")
                piece = content[at : at + _PIECE]
                at += len(piece)
                parts.append(member.decompress(piece, left))
                left -= len(parts[-1])
            at -= len(member.unused_data)
            if padding := _ZEROS.match(content, at):  # as gzip and xz allow
                at = padding.end()
        return b"".join(parts)

    return expand_members


def _only_member(content: bytes, limit: int) -> bytes:
    """Expand a zip archive of one file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise DatasetRefused(f"holds {len(members)} files; a .zip must hold exactly one")
        member = members[0]
        # Others take as much memory as the archive says.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetRefused("is a .zip of an unusual method; allowed are store and deflate")
        if member.flag_bits & 1:
            raise DatasetRefused("is encrypted; only plain .zip files are read")
        try:
            with archive.open(member) as stream:
                return stream.read(limit + 1)
        except (EOFError, NotImplementedError) as error:
            raise DatasetRefused("ends in the middle of the compressed data") from error


_EXPAND: dict[str, Callable[[bytes, int], bytes]] = {
    ".gz": _members(lambda: zlib.decompressobj(wbits=31)),
    ".bz2": _members(bz2.BZ2Decompressor),
    ".xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
    ".zip": _only_member,
}

COMPRESSIONS = tuple(_EXPAND)
"""Names of compressed files end in one of these."""

"""Compressed datasets: what pandas writes is read, and nothing expands without bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from workload.errors import DatasetRefused
from workload.share.compression import COMPRESSIONS, MAX_EXPANSION, expand
from workload.share.dataset_file import SUFFIXES, read_file
from workload.share.durable import sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = b"".join(b"%d,%d\n" % (row, row * row) for row in range(20_000))


def zipped(*contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.csv", content)
    return sink.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": zipped,
}


def refusal(content: bytes, compression: str) -> str:
    with pytest.raises(DatasetRefused) as caught:
        expand(content, compression)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("capitals", [False, True])
def test_what_pandas_writes_is_read_and_has_the_hash_of_its_file(
    tmp_path: Path, compression: str, *, capitals: bool
) -> None:
    frame = pd.DataFrame({"a": range(1000)})
    path = tmp_path / f"2018-04-01.csv{compression}"
    frame.to_csv(path, index=False)
    if capitals:
        path = path.rename(path.with_name(path.name.upper()))
    file = read_file(path)
    assert pd.read_csv(io.BytesIO(file.content)).equals(frame)
    assert (file.suffix, file.sha256) == (".csv", sha256(path))


@pytest.mark.parametrize("suffix", [".pickle", ".PKL", ".pickle.xz", ".pkl.GZ", ".Pickle.Zip"])
def test_any_spelling_of_a_pickle_is_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"2018-04-01{suffix}"
    end = "." + suffix.rsplit(".", 1)[1].lower()
    path.write_bytes(COMPRESS[end](b"pickled") if end in COMPRESS else b"pickled")
    file = read_file(path)
    assert (file.suffix, file.content) == (".pkl", b"pickled")


def test_every_kind_goes_with_every_compression() -> None:
    assert len(SUFFIXES) == len(set(SUFFIXES)) == 4 * (1 + len(COMPRESSIONS))


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz"])
def test_members_and_padding_are_read_as_one(compression: str) -> None:
    compress = COMPRESS[compression]
    content = compress(b"a,b\n") + bytes(8) + compress(PLAIN) + compress(b"") + bytes(70_000)
    assert expand(content, compression) == b"a,b\n" + PLAIN


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damage_at_any_place_is_refused_or_harmless(compression: str) -> None:
    """Never another content, never another error."""
    content = COMPRESS[compression](PLAIN)
    for at in range(0, len(content), max(1, len(content) // 100)):
        for damaged in (
            content[:at],
            content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :],
        ):
            try:
                assert expand(damaged, compression) in (PLAIN, b""), at
            except DatasetRefused as error:
                assert str(error), at  # noqa: PT017 - either is right


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_bombs_are_refused_without_expanding_them(compression: str) -> None:
    bomb = COMPRESS[compression](bytes(100_000_000))
    limit = MAX_EXPANSION * len(bomb) + 4096
    assert refusal(bomb, compression).startswith(f"expands to more than {limit} bytes")


def test_zip_holds_one_plain_file() -> None:
    assert "holds 2 files" in refusal(zipped(PLAIN, PLAIN), ".zip")
    assert "holds 0 files" in refusal(zipped(), ".zip")
    assert "unusual method" in refusal(zipped(PLAIN, method=zipfile.ZIP_LZMA), ".zip")
    locked = bytearray(zipped(PLAIN))
    locked[locked.index(b"PK\1\2") + 8] |= 1
    assert "is encrypted" in refusal(bytes(locked), ".zip")
    assert "not a readable .zip file" in refusal(b"PK", ".zip")


def test_refusal_does_not_repeat_the_bytes_of_the_file() -> None:
    """Zipfile shows the name in a header, which may be as long as the file."""
    damaged = bytearray(zipped(PLAIN + bytes(500)))
    damaged[26] ^= 0x94  # length of the name
    reason = refusal(bytes(damaged), ".zip")
    assert "not a readable .zip file" in reason
    assert len(reason) < 250
    assert "\n" not in reason


def test_xz_that_asks_for_gigabytes_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    code = f"import lzma, sys; sys.stdout.buffer.write(lzma.compress(b'x', filters={filters}))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "not a readable .xz file" in refusal(made.stdout, ".xz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB

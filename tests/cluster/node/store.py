"""containerd's store with the images unpacked in it, made once, and copied for each node by links.

Unpacking would be most of the time that a node takes to start. Nothing changes a file of an image
where it lies, so that copies may share them; only the databases are copied in full.

Usage: store.py ROOT, inside a rehearsal's namespaces, makes one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from node import images, namespace
from node.logs import LOGS
from node.runtime import Runtime
from toolchain.build import GROUPS
from toolchain.build import ensure as ensure_tools

KEPT = 2
"""How many stores stay in the cache."""


def ensure(wanted: images.Images) -> Path:
    """Make sure that there is a store with these images.

    Raises:
        images.BuildError: it can't be made; what went wrong has been printed.
    """
    version = subprocess.run(["containerd", "--version"], capture_output=True, check=True).stdout
    names = "".join(image.reference for image in wanted.all)
    key = hashlib.sha256(version + names.encode()).hexdigest()[:16]
    directory = images.shelf_directory()
    store = directory / f"store-{key}"
    with (directory / ".store-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not store.exists():
            _make(store)
        os.utime(store)
        stores = sorted(directory.glob("store-*"), key=lambda path: -path.stat().st_mtime)
        for old in stores[KEPT:]:
            shutil.rmtree(old)
    return store


def copy(store: Path, root: Path) -> None:
    """Make the root directory of a containerd, which may change it, from a store."""
    command = ["cp", "--archive", "--no-target-directory"]
    linked = subprocess.run([*command, "--link", store, root], capture_output=True, check=False)
    if linked.returncode:  # on another file system
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run([*command, store, root], check=True)
    for database in store.glob("*/*.db"):
        mine = root / database.relative_to(store)
        mine.unlink()
        shutil.copy2(database, mine)


def _make(store: Path) -> None:
    started = time.monotonic()
    images.say("unpacking the images (once, about 0.5 min) ...")
    with tempfile.TemporaryDirectory(prefix=".", dir=store.parent) as temporary:
        root = Path(temporary) / "root"
        if namespace.run([sys.executable, "-B", __file__, str(root)]):
            raise images.BuildError("the images can't be unpacked")
        root.rename(store)
    images.say(f"unpacked the images in {time.monotonic() - started:.0f} s")


def main(root: Path) -> None:
    """Unpack the images into a new store."""
    found = images.ensure(ensure_tools(GROUPS["rehearsal"]) / "pause")
    scratch = Path(os.environ["REHEARSAL"])
    runtime = Runtime(LOGS, scratch / "containerd", root, found.pause)
    runtime.start()
    for image in found.all:
        runtime.load(image)
    runtime.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The rehearsal's images, built without a registry and kept by what they are made from.

The workload's is built from `workload/Dockerfile` as it is, by `buildah`; only its BASE is not
the official one but Debian's own release of the same Python. Redis is Debian's, in that base image:
two images with one layer in common, which the node unpacks once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node import oci, pip_settings
from pathspec import GitIgnoreSpec
from toolchain.build import cache

if TYPE_CHECKING:
    from collections.abc import Callable

WORKLOAD = Path(__file__).parents[3] / "workload"
EXAMPLE = WORKLOAD.parent / "examples" / "energy_load.py"
REPOSITORY = "localhost/batch-aiml"
KEPT = 2
"""How many builds of an image stay in the cache."""

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv", "redis-server")
UNUSED = (
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BuildError(RuntimeError):
    """An image can't be built; the message ends with what the build said."""


@dataclass(frozen=True)
class Image:
    """An image in an archive.

    Attributes:
        name: repository, without tag or digest.
        digest: of its manifest, `sha256:…`.
        archive: the OCI archive that holds it.
    """

    name: str
    digest: str
    archive: Path

    @property
    def reference(self) -> str:
        """What a pod names it by: `NAME@sha256:…`."""
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True)
class Images:
    """What a node runs.

    Attributes:
        workload: of the workers and the operator's commands.
        own_trainer: the same, built with the example of a trainer where its guide puts it.
        redis: Debian's Redis 7.0.
        pause: holds a pod's namespaces.
    """

    workload: Image
    own_trainer: Image
    redis: Image
    pause: Image

    @property
    def all(self) -> tuple[Image, ...]:
        """Each of them, the smallest first."""
        return self.pause, self.redis, self.workload, self.own_trainer


def ensure(pause: Path) -> Images:
    """Make sure that every image is there.

    Args:
        pause: the program of the pause image.

    Raises:
        BuildError: one does not build.
    """
    directory = shelf_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shelf = _Shelf(directory)
        base = shelf.get("base", _hash(SUITE, *PACKAGES, *UNUSED), 1.5, _build_base)
        recipe = _hash(base.digest, *map(_read, ("Dockerfile", "requirements.txt")))
        layers, code = directory / f"layers-{recipe}", _context()
        workload = shelf.get(
            "workload",
            _hash(recipe, *code),
            3,
            lambda archive: _build_workload(archive, base, layers, WORKLOAD),
        )
        own_trainer = shelf.get(
            "own-trainer",
            _hash(recipe, *code, EXAMPLE.read_text()),
            0.3,
            lambda archive: _build_with_example(archive, base, layers),
        )
        program = hashlib.sha256(pause.read_bytes()).hexdigest()
        return Images(
            workload=workload,
            own_trainer=own_trainer,
            redis=Image(f"{REPOSITORY}/redis", base.digest, base.archive),
            pause=shelf.get("pause", program[:16], 0, lambda archive: _build_pause(archive, pause)),
        )


def shelf_directory() -> Path:
    """Return where images are kept."""
    return cache().parent / "images"


class _Shelf:
    """Built images, each under its name and a hash of what it was made from."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str, key: str, minutes: float, build: Callable[[Path], str]) -> Image:
        """Return the image; `build` writes an archive and returns its digest."""
        place = self._directory / f"{name}-{key}"
        if not place.exists():
            self._fill(place, name, minutes, build)
        place.touch()
        digest = (place / "digest").read_text()
        return Image(f"{REPOSITORY}/{name}", digest, place / "image.tar")

    def _fill(self, place: Path, name: str, minutes: float, build: Callable[[Path], str]) -> None:
        started = time.monotonic()
        if minutes:
            say(f"building the {name} image (once, about {minutes:g} min on 2 cores) ...")
        with tempfile.TemporaryDirectory(prefix=".", dir=self._directory) as temporary:
            partial = Path(temporary) / "partial"
            partial.mkdir()
            (partial / "digest").write_text(build(partial / "image.tar"))
            partial.rename(place)
        if minutes:
            say(f"built the {name} image in {time.monotonic() - started:.0f} s")
        places = sorted(self._directory.glob(f"{name}-*"), key=lambda path: -path.stat().st_mtime)
        for old in places[KEPT:]:
            shutil.rmtree(old)


def _build_base(archive: Path) -> str:
    """Build Debian with Python as `python` and `pip`, as the Dockerfile wants it, and Redis."""
    with tempfile.TemporaryDirectory(dir=archive.parent.parent) as temporary:
        root = Path(temporary) / "root"
        include = f"--include={','.join(PACKAGES)}"
        _run("debootstrap", "--variant=minbase", include, SUITE, str(root), *_mirror())
        for path in UNUSED:
            shutil.rmtree(root / path)
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        layer = Path(temporary) / "layer.tar"
        _run("tar", "-C", str(root), "--numeric-owner", "--exclude=./dev/*", "-cf", str(layer), ".")
        return oci.write(archive, layer, {"Env": [f"PATH={SEARCH_PATH}"], "Cmd": ["bash"]})


def _mirror() -> list[str]:
    """Return where this machine's apt gets the suite, or debootstrap's choice if it does not."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [uri for release, uri in pairs if release == SUITE][:1]


def _build_with_example(archive: Path, base: Image, layers: Path) -> str:
    """Build the image after `cp examples/energy_load.py workload/trainers/`."""
    with tempfile.TemporaryDirectory(dir=archive.parent.parent) as temporary:
        context = Path(temporary) / "workload"
        shutil.copytree(WORKLOAD, context, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(EXAMPLE, context / "trainers")
        return _build_workload(archive, base, layers, context)


def _build_workload(archive: Path, base: Image, layers: Path, context: Path) -> str:
    """Build the Dockerfile's image; its layers are kept, to build again after code changed."""
    for old in layers.parent.glob("layers-*"):
        if old != layers:
            shutil.rmtree(old)
    scratch = archive.parent.parent
    storage = ("--root", str(layers), "--runroot", str(scratch / "run"))
    policy = scratch / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    trust = ("--signature-policy", str(policy))
    volumes = [f"--volume={here}:{there}:ro" for here, there in pip_settings.mounts(scratch)]
    name = f"{REPOSITORY}/workload"
    _run(
        *("buildah", *storage, "bud", *trust, "--isolation", "chroot", "--format", "oci"),
        *("--layers", "--network", "host", *volumes),
        *("--build-arg", f"BASE=oci-archive:{base.archive}"),
        *("--file", str(context / "Dockerfile"), "--tag", name, str(context)),
    )
    digest = scratch / "pushed"
    _run(
        *("buildah", *storage, "push", *trust, "--digestfile", str(digest)),
        *(name, f"oci-archive:{archive}"),
    )
    return digest.read_text().strip()


def _build_pause(archive: Path, program: Path) -> str:
    layer = archive.with_name("layer.tar")
    with tarfile.open(layer, "w") as tar:
        tar.add(program.resolve(), "pause")
    digest = oci.write(archive, layer, {"Entrypoint": ["/pause"]})
    layer.unlink()
    return digest


def _context() -> list[str]:
    """Return every file of the build context with its content."""
    ignored = GitIgnoreSpec.from_lines((WORKLOAD / ".dockerignore").read_text().splitlines())
    return [
        f"{name}\n{hashlib.sha256((WORKLOAD / name).read_bytes()).hexdigest()}"
        for name in sorted(ignored.match_tree_files(WORKLOAD, negate=True))
    ]


def _read(name: str) -> str:
    return (WORKLOAD / name).read_text()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _run(*command: str) -> None:
    """Run a command that may leave mounts behind: they end with a mount namespace of its own."""
    ran = subprocess.run(
        ["unshare", "--mount", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise BuildError(f"{command[0]} failed:\n{ran.stdout[-3000:]}")


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

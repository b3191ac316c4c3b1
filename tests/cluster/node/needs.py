"""What the rehearsal needs of the machine, checked before anything is built or started.

`python needs.py` prints Debian's packages that are missing, a line each.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

PACKAGES = {
    "buildah": ("buildah",),
    "conntrack": ("conntrack",),
    "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
    "debootstrap": ("debootstrap",),
    "etcd-server": ("etcd",),
    "iproute2": ("ip",),
    "iptables": ("iptables",),
    "openssl": ("openssl",),
    "runc": ("runc",),
    "util-linux": ("mount", "nsenter", "setpriv", "unshare"),
}
"""Debian's packages and the programs wanted of each."""

PLUGINS_PACKAGE = "containernetworking-plugins"
PLUGINS = ("host-local", "loopback", "portmap", "ptp")
PLUGIN_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))

CPUS = 2
MEMORY_GIB = 6
DISK_GIB = 10


class Unable(RuntimeError):
    """This machine can't run the rehearsal; the message says what to do."""


def check(scratch: Path) -> None:
    """Look for everything that the rehearsal needs.

    Args:
        scratch: directory that will hold images and containers.

    Raises:
        Unable: names all that is missing.
    """
    if platform.system() != "Linux":
        raise Unable("it runs Linux containers: it needs Linux")
    if os.geteuid() != 0:
        raise Unable("it mounts and starts containers: run it as root")
    missing = missing_packages()
    if missing:
        raise Unable(
            f"missing {', '.join(missing)}; on Debian: "
            f"apt-get install --no-install-recommends {' '.join(missing)}"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    disk = shutil.disk_usage(scratch).free / 2**30
    cpus = len(os.sched_getaffinity(0))
    if cpus < CPUS or memory < MEMORY_GIB or disk < DISK_GIB:
        raise Unable(
            f"{cpus} CPUs, {memory:.0f} GiB of memory, {disk:.0f} GiB free in {scratch}; the stack "
            f"needs {CPUS}, {MEMORY_GIB} and {DISK_GIB}"
        )


def missing_packages() -> list[str]:
    """Return Debian's packages that something is missing of."""
    found = [
        package
        for package, programs in PACKAGES.items()
        if not all(shutil.which(program, path=search_path()) for program in programs)
    ]
    if plugin_directory() is None:
        found.append(PLUGINS_PACKAGE)
    return sorted(found)


def search_path() -> str:
    """Return PATH, and where it may leave out what is only of use to root."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def plugin_directory() -> Path | None:
    """Return where the network plugins are, None when they are not all there."""
    for directory in PLUGIN_DIRECTORIES:
        if all((directory / name).exists() for name in PLUGINS):
            return directory
    return None


if __name__ == "__main__":
    sys.stdout.writelines(f"{package}\n" for package in missing_packages())

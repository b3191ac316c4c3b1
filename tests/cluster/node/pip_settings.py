"""This machine's settings of pip, for a build that sees neither its environment nor its files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

_AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def mounts(directory: Path) -> list[tuple[Path, Path]]:
    """Return what to mount, read-only, so that pip in a build reaches what pip reaches here.

    Args:
        directory: where to write the configuration file of the build.

    Returns:
        Pairs of a path of this machine and the path in the build.
    """
    settings = _settings()
    authority = next((os.environ[name] for name in _AUTHORITIES if name in os.environ), None)
    if authority:
        settings.setdefault("cert", authority)
    file = directory / "pip.conf"
    lines = [f"{name} = {_indented(value)}" for name, value in sorted(settings.items())]
    file.write_text("\n".join(["[global]", *lines, ""]))
    named = {Path(word) for value in settings.values() for word in value.split()}
    local = sorted(path for path in named if path.is_absolute() and path.exists())
    return [(file, Path("/etc/pip.conf")), *((path, path) for path in local)]


def _settings() -> dict[str, str]:
    """Return settings by name: of the files, then of the environment, which prevails."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def _indented(value: str) -> str:
    return "\n    ".join(value.split("\n"))

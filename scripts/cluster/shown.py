"""Passes on what a command in a pod prints, its control characters as escapes: `output`, `errors`.

A terminal acts on such characters: they could hide or feign lines, or write to the clipboard.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from scripts.cluster import kube
from scripts.cluster.console import run, unknown_arguments
from workload.text import printable

if TYPE_CHECKING:
    from typing import IO


def show(source: IO[bytes], *, errors: bool) -> None:
    """Print a stream line by line, as its lines come.

    Args:
        source: what a pod prints; lines of any length, tabs stay.
        errors: leave out kubectl's own line on the exit code.
    """
    for line in kube.lines(io.TextIOWrapper(source, "utf-8", errors="replace", newline="\n")):
        if errors and line.startswith(kube.EXIT_LINE):
            continue
        text = "\t".join(map(printable, line.removesuffix("\n").split("\t")))
        print(text, end="\n" if line.endswith("\n") else "", flush=True)  # noqa: T201


def _main() -> None:
    match sys.argv[1:]:
        case ["output" | "errors" as kind]:
            show(sys.stdin.buffer, errors=kind == "errors")
        case words:
            raise unknown_arguments(words)


if __name__ == "__main__":
    run(_main)

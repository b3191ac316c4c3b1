"""What the page of every trainer has: its frame, dead letters, lineage, tiles."""

from __future__ import annotations

import shlex
from html import escape
from importlib.resources import files
from itertools import pairwise
from string import Template
from typing import TYPE_CHECKING

from workload.fraud.report.summary import base_name
from workload.report.markup import plural, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workload.fraud.report.summary import Fold


NEW_REPORT = ("# write this report again from the ledger", "workload report --share .")
"""Among the commands of `verify`."""


def document(
    sections: str,
    folds: Sequence[Fold],
    dead: Sequence[Mapping[str, object]],
    *,
    generated: datetime,
    **parts: str,
) -> str:
    """Fill the frame of every page.

    Args:
        sections: HTML of the trainer's own sections, as from `filled`.
        folds: the ledger.
        dead: dead letters.
        generated: time stated on the page.
        parts: HTML of `kicker`, `headline`, `lead`, `warning`, `tiles`, `table`, `verify`.
    """
    return filled(
        "frame.html",
        style=(files("workload.report") / "style.css").read_text(encoding="utf-8").strip(),
        sections=sections.rstrip("\n"),
        dead=dead_letters(dead),
        lineage=lineage(folds),
        generated=f"{generated:%Y-%m-%d %H:%M:%S}",
        **parts,
    )


def filled(template: str, **parts: str) -> str:
    """Fill one of the templates beside this module."""
    content = (files("workload.report") / template).read_text(encoding="utf-8")
    return Template(content).substitute(parts)


def span(folds: Sequence[Fold]) -> str:
    """Say from when to when the datasets are, to follow "in order"; empty with fewer than two."""
    dates = [fold.date for fold in folds if fold.date]
    return f", {min(dates)} to {max(dates)}" if len(dates) > 1 else ""


def checksum(fold: Fold) -> tuple[str, str]:
    """Give the command, after a comment, that compares a checkpoint with the ledger."""
    expected = f"{fold.checkpoint}  output/{fold.checkpoint_file}"
    return (
        "# in the share's directory; prints OK if the newest checkpoint is the ledger's",
        f"echo {shlex.quote(expected)} | sha256sum -c",
    )


def verify(promise: str, commands: Sequence[str]) -> str:
    """Say what a second run must give, and how to check it."""
    return (
        f"<p>{promise}: a second run of the same image over the same files gives the same hash.</p>"
        "<pre>" + escape("\n".join(commands)) + "</pre>"
    )


def left_out(dead: Sequence[Mapping[str, object]]) -> str:
    """Warn of datasets that were left out."""
    if not dead:
        return ""
    return (
        f'<p class="warning"><strong>{plural(len(dead), "dataset")} left out:</strong> '
        "the model has not seen them. The reasons are under Dead letters.</p>"
    )


def lineage(folds: Sequence[Fold]) -> str:
    """Say which checkpoint continues which."""
    if not folds:
        return '<div class="none"><p>No checkpoint yet.</p></div>'
    broken = [after for before, after in pairwise(folds) if after.base != before.checkpoint]
    chain = f"{plural(len(folds), 'checkpoint')}, each trained from the one before"
    if broken:
        chain = (
            f"{plural(len(folds), 'checkpoint')}, {len(broken)} of them not trained from the one "
            f"before; the first of these is that of {escape(base_name(broken[0].dataset))}"
        )
    ends = " to ".join(
        f"<code>{escape(fold.checkpoint[:12])}</code> ({escape(base_name(fold.dataset))})"
        for fold in (folds[0], folds[-1])
    )
    return (
        f'<div class="none"><p>{chain}: {ends}. The ledger holds the hash of every dataset, of its '
        "checkpoint and of the base.</p></div>"
    )


def tile(title: str, value: str, note: str, *, frail: bool = False) -> str:
    """Show one figure with its title and a note."""
    kind = "tile frail" if frail else "tile"
    return f'<div class="{kind}"><h3>{title}</h3><b>{value}</b><p>{note}</p></div>'


def dead_letters(dead: Sequence[Mapping[str, object]]) -> str:
    """List the datasets that were left out, with the reasons."""
    if not dead:
        return '<div class="none"><p>None: no dataset was refused or skipped.</p></div>'
    items = "".join(
        f"<li><strong>{text(letter.get('dataset', ''))}</strong> "
        f"({text(letter.get('kind', ''))})<br>{text(letter.get('reason', ''))}</li>\n"
        for letter in dead
    )
    return f'<ul class="dead">\n{items}</ul>'

"""What the page of every trainer has: dead letters, lineage, tiles."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from workload.report.markup import plural, text
from workload.report.summary import base_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workload.report.summary import Fold


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

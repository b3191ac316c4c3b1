"""The frame of every trainer's page: dead letters, lineage, how to verify, around its own parts."""

from __future__ import annotations

import base64
import hashlib
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from workload.report.elements import Notice
from workload.text import plural, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workload.report.record import Committed, Record

NEW_REPORT = ("# write this report again from the ledger", "workload report --share .")
"""Commands to verify a run, beside those of `checksum`."""

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; style-src-elem 'sha256-{}'; base-uri 'none'; "
    "form-action 'none'"
)
"""No script, no request and no style sheet but the page's own; plots have style attributes."""


def document(
    template: str,
    steps: Sequence[Committed],
    dead: Sequence[Record],
    *,
    generated: datetime,
    package: str = "workload.report",
    warnings: Sequence[Notice] = (),
    **parts: object,
) -> str:
    """Write the page.

    Args:
        template: extends `frame.html.jinja`.
        steps: the ledger.
        dead: dead letters.
        generated: time stated on the page.
        package: whose templates `template` is among.
        warnings: shown above the tiles, below that of datasets left out.
        parts: `kicker`, `headline`, `lead`, `promise` (text), `commands` (texts), `tiles`,
            `datasets` (a table), and what `template` needs besides.

    Raises:
        jinja2.UndefinedError: a part is missing.
    """
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, "workload.report"))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = "\n" + environment.get_template("style.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    parts |= {"style": Markup(style), "policy": _POLICY.format(digest)}  # noqa: S704 - our own
    parts |= {"steps": steps, "generated": generated, "chain": _chain(steps)}
    parts["warnings"] = [*_left_out(dead), *warnings]
    parts["dead"] = [
        {key: printable(letter.get(key, "")) for key in ("dataset", "kind", "reason")}
        for letter in dead
    ]
    return environment.get_template(template).render(parts)


def span(steps: Sequence[Committed]) -> str:
    """Say from when to when the datasets are, to follow "in order"; empty with fewer than two."""
    dates = [step.date for step in steps if step.date]
    return f", {min(dates)} to {max(dates)}" if len(dates) > 1 else ""


def checksum(step: Committed) -> tuple[str, str]:
    """Give the command, after a comment, that compares a checkpoint with the ledger."""
    expected = f"{step.checkpoint}  output/{step.checkpoint_file}"
    return (
        "# in the share's directory; prints OK if the newest checkpoint is the ledger's",
        f"echo {shlex.quote(expected)} | sha256sum -c",
    )


def _left_out(dead: Sequence[Record]) -> list[Notice]:
    if not dead:
        return []
    return [
        Notice(
            f"{plural(len(dead), 'dataset')} left out:",
            "the model has not seen them. The reasons are under Dead letters.",
        )
    ]


def _chain(steps: Sequence[Committed]) -> str:
    """Say which checkpoint continues which."""
    checkpoints = plural(len(steps), "checkpoint")
    broken = [after for before, after in pairwise(steps) if after.base != before.checkpoint]
    if not broken:
        return f"{checkpoints}, each trained from the one before"
    return (
        f"{checkpoints}, {len(broken)} of them not trained from the one before; the first of these "
        f"is that of {broken[0].file_name}"
    )

"""Tables of results: on the screen, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.plots import draw_queues

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.machine import Machine


REHEARSED = "rehearsal"
"""Measured by `make rehearse`, all others by `python -m benchmarks`."""

SECTIONS = (
    "queue",
    "peers",
    "recovery",
    "long_run",
    "pipeline",
    "workers",
    "scaling",
    "memory",
    "learner",
    REHEARSED,
)
"""In the order they are measured and shown."""


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of text; the first column names the row, the others hold figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return padded columns, figures to the right."""
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        body = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, body[0], "-" * max(map(len, body)), *body[1:]])

    def markdown(self) -> str:
        """Return a Markdown table under its title."""
        rule = ["---", *("--:" for _ in self.columns[1:])]
        lines = [self.columns, rule, *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


@dataclass(frozen=True, slots=True)
class Section:
    """What was measured about one subject.

    Args:
        title: the subject.
        method: how it was measured, a sentence or two.
        tables: the figures.
        verdicts: each target beside what was reached.
    """

    title: str
    method: str
    tables: Sequence[Table]
    verdicts: Sequence[str]

    def text(self) -> str:
        """Write the section for the screen."""
        tables = [table.text() for table in self.tables]
        return "\n\n".join([f"== {self.title} ==\n{self.method}", *tables, *self.verdicts])


def verdict(
    what: str, reached: float, target: float, digits: int = 0, *, most: bool = False
) -> str:
    """Say in one line the target and whether it was met; `most`: the target is an upper limit."""
    met = reached <= target if most else reached >= target
    bound = "at most" if most else "at least"
    return (
        f"Target: {what}, {bound} {target:,.{digits}f}: "
        f"{'met' if met else 'MISSED'} ({reached:,.{digits}f})"
    )


def store(directory: Path, name: str, section: Section, machine: Machine, *, quick: bool) -> None:
    """Put a section into `results.json`, keep the others, and render `results.md`."""
    path = directory / "results.json"
    sections: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    sections[name] = {"quick": quick, "machine": asdict(machine), **asdict(section)}
    sections = {key: sections[key] for key in SECTIONS if key in sections}
    path.write_text(json.dumps(sections, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (directory / "results.md").write_text(_markdown(sections), "utf-8")
    draw_queues(sections, directory.parent / "docs/queues.svg")


def _markdown(sections: dict[str, Any]) -> str:
    parts = [
        "# Results",
        "Made by `python -m benchmarks --write`; `README.md` here says how to read them.",
    ]
    for section in sections.values():
        parts += [f"## {section['title']}", section["method"]]
        if section["quick"]:
            parts.append("A quick run: rough figures.")
        parts += [Table(**table).markdown() for table in section["tables"]]
        parts += ["\n".join(f"- {line}" for line in section["verdicts"])] * bool(
            section["verdicts"]
        )
        parts.append(
            " · ".join(
                f"{key.replace('_', ' ')}: {value}" for key, value in section["machine"].items()
            )
        )
    return "\n\n".join(parts) + "\n"

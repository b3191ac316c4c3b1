"""What a page consists of, as values: `templates/elements.html.jinja` turns them into HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure.

    Attributes:
        title: what it is.
        value: the figure.
        note: what to compare it with.
        frail: whether no claim rests on it; it is then drawn less boldly.
    """

    title: str
    value: str
    note: str
    frail: bool = False


class Key(NamedTuple):
    """A line of a legend.

    Attributes:
        mark: "line", "dash", "box", "dot" or "ring".
        colour: a variable of the style sheet, without its dashes.
        name: what is drawn so.
    """

    mark: str
    colour: str
    name: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot, or the sentence that stands in for an empty one.

    Attributes:
        title: its heading.
        text: what it shows, in a sentence.
        svg: the plot; None where there is nothing to draw.
        keys: its legend.
    """

    title: str
    text: str
    svg: Markup | None = None
    keys: Sequence[Key] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table that is not plain text.

    Attributes:
        text: what it says.
        kind: "frail" for a figure on which no claim rests, "code" for a hash.
    """

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a long one scrolls within the page.

    Attributes:
        titles: of the columns.
        rows: their cells, the first of which is the row's heading.
        note: a sentence below it.
        worded: whether rows are named in words, which may wrap, and not by a file.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    note: str = ""
    worded: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning above the figures.

    Attributes:
        title: its first words, in bold.
        text: the rest.
    """

    title: str
    text: str

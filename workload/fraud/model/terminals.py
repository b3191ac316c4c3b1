"""What visible labels tell of terminals."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from workload.fraud.model.counters import NEVER, Table, decay, plus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.model.labels import Labels


class Terminal(IntEnum):
    """Counters of a terminal, from visible labels only; the suffix is the half-life in days.

    The share of frauds among a terminal's transactions is not kept: the marks tell more, and beside
    them it cost average precision (0.002 from the whole chain and 0.001 from seven days on three
    seeds of the simulator, less than 0.002 on the handbook's data).
    """

    COUNT_30 = 0


class TerminalMark(IntEnum):
    """Marks of a terminal, from visible labels and frauds not explained by the amount.

    An episode is a run of such frauds that no day with a genuine transaction interrupts.
    """

    FIRST = 0
    """Days since the first fraud of the present (or else the last) episode."""
    LAST = 1
    """Days since its last fraud."""
    CLEAN = 2
    """Days since the last genuine transaction."""
    QUIET = 3
    """Days from the last genuine transaction before the episode to its first fraud."""
    FRAUDS = 4
    """Frauds of the episode."""


HALF_LIVES = (30,)
"""Half-life of each `Terminal` counter, in days."""


def aged(terminals: Table, days: int) -> Table:
    """Return the table some days later."""
    return terminals.aged(
        days, HALF_LIVES, (), (TerminalMark.FIRST, TerminalMark.LAST, TerminalMark.CLEAN)
    )


def with_labels(terminals: Table, labels: Labels, explained: NDArray[np.bool_], age: int) -> Table:
    """Return the table with a day's labels, which have just become visible.

    Args:
        terminals: rows as in `Terminal` and `TerminalMark`.
        labels: of the day.
        explained: (f,) which of its frauds the amount, not the terminal, explains.
        age: how many days ago the day was.
    """
    where = np.searchsorted(labels.terminals, labels.fraud_terminal)
    distinct = len(labels.terminals)
    frauds = np.bincount(where, minlength=distinct)
    table, at = terminals.including(labels.terminals)
    counters, marks = table.counters.copy(), table.marks.copy()
    counters[Terminal.COUNT_30, at] = plus(
        counters[Terminal.COUNT_30, at],
        labels.transactions,
        decay(HALF_LIVES[Terminal.COUNT_30], age),
    )
    unexplained = np.bincount(where[~explained], minlength=distinct)
    _mark_episodes(marks, at, unexplained, labels.transactions > frauds, min(age, NEVER - 1))
    return Table(table.ids, counters, table.sums, marks)


def _mark_episodes(
    marks: NDArray[np.uint8],
    at: NDArray[np.intp],
    frauds: NDArray[np.intp],
    clean: NDArray[np.bool_],
    age: int,
) -> None:
    """Enter one day into the marks of terminals, in place.

    Args:
        marks: (5, n) as in `TerminalMark`.
        at: (t,) positions of the day's terminals.
        frauds: (t,) frauds of the day that the amount does not explain.
        clean: (t,) whether the day had a genuine transaction.
        age: how many days ago the day was.
    """
    hit = at[frauds > 0]
    begun = hit[marks[TerminalMark.LAST, hit] >= marks[TerminalMark.CLEAN, hit]]
    before = marks[TerminalMark.CLEAN, begun]
    marks[TerminalMark.FIRST, begun] = age
    marks[TerminalMark.QUIET, begun] = np.where(before == NEVER, NEVER, before - np.uint8(age))
    marks[TerminalMark.FRAUDS, begun] = 0
    total = marks[TerminalMark.FRAUDS, hit].astype(np.int64) + frauds[frauds > 0]
    marks[TerminalMark.FRAUDS, hit] = np.minimum(total, NEVER - 1)
    marks[TerminalMark.LAST, hit] = age
    marks[TerminalMark.CLEAN, at[clean]] = age

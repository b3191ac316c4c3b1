"""Features of a day's transactions, each cut into bins: one-hot columns for a linear model.

Every number has a block of columns of its own, one of which is 1. Bins are geometric (a constant
ratio wide) relative to something learned: the usual amount of all cards, a card's own level, the
amount rule. Days are counted in days. Nothing needs fitting or scaling.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from workload.fraud.model.cards import UNIT, Card, CardSum, Rows
from workload.fraud.model.counters import NEVER, inverse, octave_bins
from workload.fraud.model.labels import amount_bins
from workload.fraud.model.terminals import TerminalMark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workload.fraud.model.state import State
    from workload.fraud.transactions import Day


def _steps(*edges: int) -> NDArray[np.int32]:
    """Return the bin of each mark 0 … 255: how many of the ascending edges it has reached."""
    return np.searchsorted(edges, np.arange(NEVER + 1), side="right").astype(np.int32)


_DAYS = _steps(1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 64, NEVER)
"""Days since something: single days, then wider and wider, then never."""
_EPISODE_DAYS = _steps(*range(2, 65, 2), NEVER)
"""Age of a terminal's episode, two days a bin, because how long episodes last is to be learned."""
_QUIET_DAYS = _steps(2, 3, 5)
"""How well the episode's begin is known: 1, 2, 3 to 4, more days without news before it."""
_FRAUDS = _steps(1, 2, 3, 4, 6, 10)

_RATIO = 24
"""Bins of amount over level, four an octave from 1/4 to 16."""
_EVIDENCE = 6
"""Bins of a decaying count, an octave each: below 1/4, … 2 to 4, above."""
_HISTORY = 4
"""Bins of how much is known of a card: fewer than 4 transactions, 4, 8, 16 or more."""

WIDTHS = {
    "amount": 36,
    "amount_rule": 16,
    "hour_weekend": 16,
    "ratio_evidence": _RATIO * _EVIDENCE,
    "ratio_history": _RATIO * _HISTORY,
    "spell": int(_DAYS[-1] + 1) * 8,
    "since_unusual": int(_DAYS[-1] + 1),
    "unusual_today": 4 * 6,
    "pace": 14,
    "spending": 16,
    "card_frauds": 10,
    "episode": int(_EPISODE_DAYS[-1] + 1) * int(_QUIET_DAYS[-1] + 2),
    "episode_frauds": int(_FRAUDS[-1] + 1) * 2,
    "since_fraud": int(_DAYS[-1] + 1) * 2,
    "since_clean": int(_DAYS[-1] + 1) * 2,
}
"""Name and number of columns of each feature, in the order of the columns; see `columns`."""

FEATURE_LABELS = {
    "amount": "the amount",
    "amount_rule": "the amount against the amount rule",
    "hour_weekend": "hour and weekend",
    "ratio_evidence": "amount over the card's level, by its unusual amounts lately",
    "ratio_history": "amount over the card's level, by what is known of it",
    "spell": "the card's spell of unusual amounts",
    "since_unusual": "days since the card's last unusual amount",
    "unusual_today": "the card's unusual amounts today",
    "pace": "the card's transactions this week",
    "spending": "the card's spending this week",
    "card_frauds": "the card's known frauds",
    "episode": "age of the terminal's run of frauds",
    "episode_frauds": "frauds of the terminal's run",
    "since_fraud": "days since the terminal's last fraud",
    "since_clean": "days since the terminal's last genuine transaction",
}
"""Each feature in words, for people who read why a score is high."""

FEATURES = len(WIDTHS)
COLUMNS = sum(WIDTHS.values())
_FIRST_COLUMN = dict(zip(WIDTHS, accumulate(WIDTHS.values(), initial=0), strict=False))


def columns(state: State, day: Day, rows: Rows | None = None) -> NDArray[np.int32]:
    """Return the columns that are 1 for each row of a day: (n, FEATURES), ascending in a row.

    In memory, each feature is contiguous.

    A pure function of the state, which must stand at the day, and of the day without its labels; a
    row's columns depend on no later row.

    Args:
        state: what past days left.
        day: its labels are not read.
        rows: what `state.rows` returns for the day, where it has been worked out already.

    Raises:
        ValueError: the state stands at another date.
    """
    rows = rows or state.rows(day)
    bins = {**_of_amount(state, day, rows), **_of_card(rows), **_of_terminal(state, rows)}
    by_card = np.empty((FEATURES, day.rows), np.int32)
    for feature, (name, first_column) in enumerate(_FIRST_COLUMN.items()):
        np.add(bins[name], first_column, out=by_card[feature], casting="same_kind")
    return by_card.take(inverse(rows.cards.order), axis=1).T


def _of_amount(state: State, day: Day, rows: Rows) -> dict[str, NDArray[np.int32]]:
    usual = state.usual_root
    relative = rows.amount / (usual * usual) if usual else np.ones(day.rows)
    above = amount_bins(rows.amount) - np.int32(state.threshold)
    three_hours = day.second[rows.cards.order] // 10_800
    weekend = day.date.weekday() >= 5  # noqa: PLR2004 - Saturday
    return {
        # Amount over the usual amount of all cards, four bins an octave from 1/16 to 32.
        "amount": octave_bins(relative, -4, 2, WIDTHS["amount"]),
        # How many bins the amount is above the threshold of the amount rule.
        "amount_rule": np.clip(above, -8, 7) + 8,
        # Eight parts of the day, on working days and on weekends.
        "hour_weekend": three_hours + 8 * weekend,
    }


def _of_card(rows: Rows) -> dict[str, NDArray[np.int32]]:
    cards = rows.cards
    counters = rows.table.counters[:, rows.at].astype(np.float32)[:, cards.group]
    sums = rows.table.sums[:, rows.at][:, cards.group]
    first, last = rows.table.marks[:, rows.at]
    unusual = cards.before(rows.unusual)
    earlier = rows.earlier.astype(np.float32)
    month = counters[Card.COUNT_30] + earlier
    week = counters[Card.COUNT_7] + earlier
    one = np.float32(1)  # keeps ratios of small counts near 1, and finite
    level = (sums[CardSum.LEVEL_30] + one) / (month + one)
    root = (cards.before(rows.root) / UNIT).astype(np.float32)
    lately = (sums[CardSum.ROOT_7] + root + level) / (week + one)
    ratio = octave_bins(rows.ratio, -2, 2, _RATIO)
    evidence = octave_bins(counters[Card.UNUSUAL_7] + unusual, -3, 0, _EVIDENCE)
    history = octave_bins(month, 1, 0, _HISTORY)
    spell = octave_bins(counters[Card.UNUSUAL_30] + unusual, -1, 1, 8)
    return {
        # Amount over the card's own level, by how much unusual spending the card has shown lately
        # and, because the level of a new card is a guess, by how much is known of it.
        "ratio_evidence": ratio * _EVIDENCE + evidence,
        "ratio_history": ratio * _HISTORY + history,
        # Days since the spell of unusual amounts began, by how many there were.
        "spell": _DAYS[first][cards.group] * 8 + spell,
        "since_unusual": _DAYS[last][cards.group],
        # Unusual amounts among today's earlier rows, by the number of those.
        "unusual_today": np.minimum(unusual, 3) * 6 + np.minimum(rows.earlier, 5),
        # Transactions of the week over those of the month; amounts of the week over the level.
        "pace": octave_bins(week / (month + one), -3, 2, WIDTHS["pace"]),
        "spending": octave_bins(lately / level, -1, 3, WIDTHS["spending"]),
        # Visible frauds of the card.
        "card_frauds": octave_bins(counters[Card.FRAUD_30], -3, 1, WIDTHS["card_frauds"]),
    }


def _of_terminal(state: State, rows: Rows) -> dict[str, NDArray[np.int32]]:
    terminals = rows.terminals
    table, at = state.terminals.including(terminals.ids)
    marks = table.marks[:, at]
    live = (marks[TerminalMark.LAST] < marks[TerminalMark.CLEAN]).astype(np.int32)
    quiet = np.where(live, _QUIET_DAYS[marks[TerminalMark.QUIET]] + 1, 0)
    bins = {
        # Age of the episode; if it looks live, by how well its begin is known.
        "episode": _EPISODE_DAYS[marks[TerminalMark.FIRST]] * int(_QUIET_DAYS[-1] + 2) + quiet,
        "episode_frauds": _FRAUDS[marks[TerminalMark.FRAUDS]] * 2 + live,
        "since_fraud": _DAYS[marks[TerminalMark.LAST]] * 2 + live,
        "since_clean": _DAYS[marks[TerminalMark.CLEAN]] * 2 + live,
    }
    of_row = terminals.group[inverse(terminals.order)][rows.cards.order]
    return {name: values[of_row] for name, values in bins.items()}

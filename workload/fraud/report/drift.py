"""Whether the model goes stale: plain rules over the ledger, each with its reason.

A rule compares the last `RECENT` days with the `BEFORE` days before them, so it says nothing until
there are so many tests.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workload.fraud.metrics import EDGES
from workload.fraud.report.pooling import TRAILING_DAYS, pool_next_day

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from workload.fraud.report.scores import Histogram, Step

RECENT = TRAILING_DAYS
BEFORE = 28
"""Days before the recent ones that these are compared with: four weeks."""

WORSE = 0.8
"""Stale when average precision falls below this part of what it was. Day by day it varies by a
tenth on simulated data, whose frauds do not change; see the evaluation's intervals."""

SHIFTED = 0.05
"""Stale when the stability index of a week's scores is above this on average.

That is when the share of scores above 3 % grows from 2 % to some 6 %. In half a year of simulated
days, on which nothing shifts, no day was above 0.01.
"""

MOST_NEW = 0.2
"""Stale when more than this share of a week's cards is unknown: they have no level, no history."""

BOUNDS = (0.03, 0.1, 0.3, 0.5, 0.9)
"""Between these, scores are compared. All below count as one: most transactions lie there, and
their scores move with every day's training although nothing is decided by them."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What is shown of drift.

    Attributes:
        shift: for each tested day with enough days before it, the stability index of its scores.
        new_cards: share of new cards by day.
        warning: one line why the model looks stale; None if it does not.
    """

    shift: Sequence[tuple[dt.date, float]]
    new_cards: Sequence[tuple[dt.date, float]]
    warning: str | None


def drift(steps: Sequence[Step]) -> Drift:
    """Judge the datasets of a ledger, in the order of training."""
    tested = [
        (step.committed.date, step) for step in steps if step.committed.date and step.next_day
    ]
    shift = []
    for position in range(BEFORE, len(tested)):
        day, step = tested[position]
        before = pool_next_day(each for _, each in tested[position - BEFORE : position])
        if step.next_day and step.next_day.histogram:
            index = stability_index(before.histogram, step.next_day.histogram)
            if index is not None:
                shift.append((day, index))
    new = [
        (step.committed.date, step.new_cards)
        for step in steps
        if step.committed.date is not None and step.new_cards is not None
    ]
    return Drift(shift, new, _warning([step for _, step in tested], shift))


def stability_index(before: Histogram, now: Histogram) -> float | None:
    """Return the population stability index of two score histograms; None if one is empty.

    The sum over the groups of `BOUNDS` of (q - p) ln(q / p), where p and q are the shares of the
    rows before and now. Half a row is added to each group, so that none is empty.
    """
    was, here = _groups(before), _groups(now)
    if not sum(was) or not sum(here):
        return None
    half = 0.5
    whole, all_here = (sum(groups) + half * len(groups) for groups in (was, here))
    shares = [
        ((old + half) / whole, (new + half) / all_here) for old, new in zip(was, here, strict=True)
    ]
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def _groups(histogram: Histogram) -> list[int]:
    """Count rows between the `BOUNDS`; a bin belongs where its lower edge lies."""
    groups = [0] * (len(BOUNDS) + 1)
    lower = (0.0, *EDGES)
    for edge, genuine, fraud in zip(lower, histogram["genuine"], histogram["fraud"], strict=True):
        groups[bisect_right(BOUNDS, edge)] += genuine + fraud
    return groups


def _warning(tested: Sequence[Step], shift: Sequence[tuple[dt.date, float]]) -> str | None:
    if len(tested) < BEFORE + RECENT:
        return None
    now = pool_next_day(tested[-RECENT:])
    before = pool_next_day(tested[-RECENT - BEFORE : -RECENT])
    reasons = []
    if (
        now.ranks
        and before.ranks
        and now.average_precision is not None
        and before.average_precision is not None
        and now.average_precision < WORSE * before.average_precision
    ):
        reasons.append(
            f"average precision fell from {before.average_precision:.3f} to "
            f"{now.average_precision:.3f}"
        )
    recent = [index for _, index in shift[-RECENT:]]
    mean = math.fsum(recent) / len(recent) if recent else 0.0
    if mean > SHIFTED:
        reasons.append(f"scores have shifted (stability index {mean:.3f})")
    shares = [step.new_cards for step in tested[-RECENT:] if step.new_cards is not None]
    new = math.fsum(shares) / len(shares) if shares else 0.0
    if new > MOST_NEW:
        reasons.append(f"{new:.0%} of the cards are new")
    if not reasons:
        return None
    return f"In the last {RECENT} days, against the {BEFORE} before: {'; '.join(reasons)}."

"""Tables of decaying counters for entities known only by an id.

Everything here is exact or correctly rounded by IEEE 754 (additions, products, comparisons, casts,
integer sums), so a table has the same bytes on every CPU: NumPy's and libm's exp, log and pow do
not appear, because they differ between instruction sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

DAILY_DECAY = {
    7: 0.9057236642639067,
    30: 0.9771599684342459,
}
"""Half-life in days → factor for one day, 2 ** (-1 / half-life), written out to the last digit."""

LARGEST = 65504.0
"""Largest float16; counters saturate there."""

NOTHING = 1e-20
"""Decayed below this, nothing is left: it spares the arithmetic numbers too small to be normal."""

NEVER = 255
"""A mark that has not been set, and the largest value a mark can have."""


def decay(half_life: int, days: int) -> float:
    """Return what is left of 1 after a number of days, by repeated multiplication.

    Args:
        half_life: in days, a key of `DAILY_DECAY`.
        days: how many; 0 gives 1.
    """
    factor = 1.0
    for _ in range(days):
        factor *= DAILY_DECAY[half_life]
        if factor < NOTHING:
            return 0.0
    return factor


def rounded(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round to float16, saturating at `LARGEST` instead of overflowing to infinity."""
    return np.minimum(values, np.float32(LARGEST)).astype(np.float16)


def plus(
    counters: NDArray[np.float16], counts: NDArray[np.integer], weight: ArrayLike = 1.0
) -> NDArray[np.float16]:
    """Add counts, times a weight or an array of weights, to counters of the same shape."""
    weights = np.asarray(weight, np.float32)
    return rounded(counters.astype(np.float32) + counts.astype(np.float32) * weights)


def octave_bins(
    values: NDArray[np.floating], lowest: int, bits: int, bins: int
) -> NDArray[np.int32]:
    """Bin non-negative values geometrically: each octave in 2 ** bits parts.

    A binary floating-point number leads with its octave and then says where in the octave it is, so
    its first bits are the bin: no logarithm, no search, the same on every CPU.

    Args:
        values: any shape; binned as float32.
        lowest: the octave that starts at 2 ** lowest is the first; what is below counts as its
            first part.
        bits: logarithm of the number of parts.
        bins: number of bins; what is above counts as the last.
    """
    leading: NDArray[np.int32] = np.asarray(values, np.float32).view(np.int32) >> (23 - bits)
    leading -= np.int32((127 + lowest) << bits)
    np.maximum(leading, np.int32(0), out=leading)
    np.minimum(leading, np.int32(bins - 1), out=leading)
    return leading


def smallest_unsigned(values: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    """Return non-negative integers in the narrowest unsigned dtype that holds their maximum."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def packed_ids(ids: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """Store ascending ids as their differences (the first from 0), as narrow as they allow."""
    return smallest_unsigned(np.diff(ids, prepend=np.int64(0)))


def unpacked_ids(packed: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Undo `packed_ids`.

    Raises:
        ValueError: these are no ascending ids.
    """
    ids = np.cumsum(packed.astype(np.int64))
    if packed.dtype.kind != "u" or packed.ndim != 1 or (np.diff(ids, prepend=-1) <= 0).any():
        raise ValueError("ids are not ascending")
    return ids


def stable_order(ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return `argsort(ids, kind="stable")`, ten times faster when the ids span less than 65,536.

    NumPy sorts 16-bit integers by radix.
    """
    if len(ids):
        lowest = ids.min()
        if ids.max() - lowest < 1 << 16:
            return np.argsort((ids - lowest).astype(np.uint16), kind="stable")
    return np.argsort(ids, kind="stable")


def inverse(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the (n,) permutation that undoes a permutation."""
    undone = np.empty_like(order)
    undone[order] = np.arange(len(order))
    return undone


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows grouped by an id.

    Attributes:
        order: (n,) row numbers sorted by id; within an id in the rows' own order.
        ids: (g,) the distinct ids, ascending.
        start: (g,) where each id's rows start in `order`.
        size: (g,) number of rows of each id.
        group: (n,) for each position in `order`, the number of its id in `ids`.
    """

    order: NDArray[np.intp]
    ids: NDArray[np.int64]
    start: NDArray[np.intp]
    size: NDArray[np.intp]
    group: NDArray[np.intp]

    @classmethod
    def by(cls, ids: NDArray[np.int64]) -> Groups:
        """Group rows by their (n,) ids."""
        order = stable_order(ids)
        in_order = ids[order]
        first = np.ones(len(ids), dtype=np.bool_)
        np.not_equal(in_order[1:], in_order[:-1], out=first[1:])
        start = np.flatnonzero(first)
        return cls(
            order=order,
            ids=in_order[start],
            start=start,
            size=np.diff(start, append=len(ids)),
            group=np.cumsum(first) - 1,
        )

    def total(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum (n,) integers, given in `order`, within each group: (g,)."""
        running = np.concatenate(([0], np.cumsum(values)))
        total: NDArray[np.int64] = running[self.start + self.size] - running[self.start]
        return total

    def before(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum, for each position in `order`, the values at earlier positions of its group: (n,).

        Integers, so that no rounding depends on rows outside the group.
        """
        running: NDArray[np.int64] = np.cumsum(values) - values
        before: NDArray[np.int64] = running - running[self.start][self.group]
        return before


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Counters, sums and marks of entities, in ascending order of their ids.

    Positions, never ids, index the arrays, so ids may be any non-negative int64. The arrays depend
    on what was counted, not on the order in which ids were met.

    Attributes:
        ids: (n,) int64, ascending, distinct.
        counters: (k, n) float16, decaying.
        sums: (m, n) float32, decaying; for amounts, which may exceed float16.
        marks: (j, n) uint8, for example days since something; `NEVER` where unset.
    """

    ids: NDArray[np.int64]
    counters: NDArray[np.float16]
    sums: NDArray[np.float32]
    marks: NDArray[np.uint8]

    @classmethod
    def empty(cls, counters: int, sums: int, marks: int) -> Table:
        """Return a table without entities and with so many rows of each kind."""
        return cls(
            np.empty(0, np.int64),
            np.empty((counters, 0), np.float16),
            np.empty((sums, 0), np.float32),
            np.empty((marks, 0), np.uint8),
        )

    def including(self, ids: NDArray[np.int64]) -> tuple[Table, NDArray[np.intp]]:
        """Return the table with entries for all of (g,) ascending distinct ids, and where they are.

        New entries have counters and sums of 0 and marks of `NEVER`.
        """
        at = np.searchsorted(self.ids, ids)
        new = np.ones(len(ids), dtype=np.bool_)
        inside = at < len(self.ids)
        new[inside] = self.ids[at[inside]] != ids[inside]
        if not new.any():
            return self, at
        where = at[new]
        grown = Table(
            np.insert(self.ids, where, ids[new]),
            np.insert(self.counters, where, 0, axis=1),
            np.insert(self.sums, where, 0, axis=1),
            np.insert(self.marks, where, NEVER, axis=1),
        )
        return grown, at + np.cumsum(new) - new

    def values(self, counter: int, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return one counter of (g,) ids in any order, 0 for those without an entry."""
        at = np.searchsorted(self.ids, ids)
        found = at < len(self.ids)
        found[found] = self.ids[at[found]] == ids[found]
        values = np.zeros(len(ids), np.float16)
        values[found] = self.counters[counter, at[found]]
        return values

    def aged(
        self, days: int, counters: Sequence[int], sums: Sequence[int], ages: Sequence[int]
    ) -> Table:
        """Return the table some days later.

        Args:
            days: how many days later.
            counters: half-life in days of each row of counters.
            sums: the same for the sums.
            ages: the rows of marks that count days; they stop at `NEVER`.
        """
        marks = self.marks.copy()
        passed = min(days, NEVER)
        for row in ages:
            marks[row] = np.minimum(marks[row], NEVER - passed) + np.uint8(passed)
        return Table(
            self.ids,
            rounded(self.counters.astype(np.float32) * _factors(counters, days)),
            self.sums * _factors(sums, days),
            marks,
        )

    def only(self, kept: NDArray[np.bool_]) -> Table:
        """Return the table with the entities that an (n,) mask selects."""
        if kept.all():
            return self
        return Table(
            self.ids[kept], self.counters[:, kept], self.sums[:, kept], self.marks[:, kept]
        )

    def most(self, kept: int, counter: int) -> Table:
        """Return the table with at most so many entities.

        Those with the highest value of a counter stay; of equal ones, those with the lower id.
        """
        if len(self.ids) <= kept:
            return self
        order = np.argsort(-self.counters[counter].astype(np.float32), kind="stable")
        mask = np.zeros(len(self.ids), np.bool_)
        mask[order[:kept]] = True
        return self.only(mask)

    def to_arrays(self) -> dict[str, object]:
        """Return the table as NumPy arrays; ids as differences."""
        return {
            "ids": packed_ids(self.ids),
            "counters": self.counters,
            "sums": self.sums,
            "marks": self.marks,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], empty: Table) -> Table:
        """Undo `to_arrays`.

        Args:
            arrays: as returned by `to_arrays`.
            empty: a table with the rows that are expected.

        Raises:
            ValueError: there are other numbers of rows, or the arrays do not fit each other.
        """
        table = cls(
            unpacked_ids(arrays["ids"]), arrays["counters"], arrays["sums"], arrays["marks"]
        )
        if table.layout != empty.layout:
            raise ValueError(f"a table of {table.layout} rows; this version has {empty.layout}")
        values = ((table.counters, empty.counters), (table.sums, empty.sums))
        for found, expected in (*values, (table.marks, empty.marks)):
            if found.dtype != expected.dtype or found.shape[1:] != table.ids.shape:
                raise ValueError("a table's arrays do not fit its ids")
        return table

    @property
    def layout(self) -> tuple[int, int, int]:
        """Numbers of rows of counters, sums and marks."""
        return len(self.counters), len(self.sums), len(self.marks)


def _factors(half_lives: Sequence[int], days: int) -> NDArray[np.float32]:
    column = [[decay(half_life, days)] for half_life in half_lives]
    return np.array(column, np.float32).reshape(-1, 1)

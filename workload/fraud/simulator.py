"""Daily card transactions with known frauds, for a first run without any data.

The model is that of chapter 3 of "Reproducible Machine Learning for Credit Card Fraud Detection -
Practical Handbook" (Le Borgne, Siblini, Lebichot, Bontempi); this is an independent implementation
in which a day can be generated alone: its rows depend on the seed and the day's number only.
"""

from __future__ import annotations

import datetime as dt
import io
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from workload.errors import UsageError
from workload.share.durable import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

FORMATS = ("pkl", "parquet")
"""File formats `simulate` can write."""

DEFAULT_START = dt.date(2018, 4, 1)
"""First day of the handbook's own dataset, and of the tutorial's."""

GRID = 100.0
"""Customers and terminals live on a square of this side (handbook, chapter 3)."""
RADIUS = 5.0
"""A customer uses the terminals closer than this."""
MEAN_AMOUNT = (5.0, 100.0)
"""Range of a customer's mean amount; the standard deviation is half the mean."""
MAX_DAILY_RATE = 4.0
"""A customer's mean number of transactions a day is uniform between 0 and this."""
MEAN_SECOND, SECOND_DEVIATION = 43_200.0, 20_000.0
"""Time of day in seconds after midnight; draws outside the day are dropped."""

SUSPICIOUS_AMOUNT = 220.0
"""Scenario 1: every amount above this is a fraud."""
TERMINALS_PER_DAY, TERMINAL_DAYS = 2, 28
"""Scenario 2: terminals compromised each day, and for how many days."""
CUSTOMERS_PER_DAY, CUSTOMER_DAYS = 3, 14
"""Scenario 3: customers compromised each day, and for how many days."""
STOLEN_SHARE, STOLEN_FACTOR = 1 / 3, 5.0
"""Scenario 3: share of a compromised customer's transactions made by the thief, and their size."""

SECONDS_PER_DAY = 86_400
ROWS_PER_DAY = 1_000_000
"""TRANSACTION_ID is day number x this + row, so a day can never reach this many rows."""
MAX_CUSTOMERS = 250_000
"""Keeps a day below `ROWS_PER_DAY` rows (about 1.9 rows per customer)."""


class _Draw(IntEnum):
    """What a random stream is for; part of its key, so streams never overlap."""

    CUSTOMERS = 0
    TERMINALS = 1
    TRANSACTIONS = 2
    COMPROMISED_TERMINALS = 3
    COMPROMISED_CUSTOMERS = 4


def _stream(seed: int, draw: _Draw, day: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, int(draw), day))))


@lru_cache(maxsize=256)
def _compromised(seed: int, draw: _Draw, population: int, count: int, day: int) -> tuple[int, ...]:
    """Return the `count` members of 0..population-1 compromised on `day`."""
    chosen = _stream(seed, draw, day).choice(population, min(count, population), replace=False)
    return tuple(int(member) for member in chosen)


def _poisson_thresholds(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cumulative Poisson probabilities, (len(rate), 24), for drawing by inversion.

    Uses multiplication, division and addition only: exp() differs in the last bit between CPUs.
    exp(-rate) is 1 / exp(rate / 64) ** 64 with a Taylor series, whose 12th term is below 1e-20.
    """
    power = np.ones_like(rate)
    for term in range(12, 0, -1):
        power = 1.0 + power * (rate / 64.0) / term
    for _ in range(6):
        power = power * power
    probability = np.empty((rate.size, 24))
    probability[:, 0] = 1.0 / power
    for count in range(1, probability.shape[1]):
        probability[:, count] = probability[:, count - 1] * rate / count
    return np.cumsum(probability, axis=1)


def _terminals_in_reach(
    customers: NDArray[np.float64], terminals: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the terminals closer than `RADIUS` to each customer.

    Args:
        customers: positions, shape (customers, 2).
        terminals: positions, shape (terminals, 2).

    Returns:
        offsets, shape (customers + 1,), and members: customer c reaches
        `members[offsets[c]:offsets[c + 1]]`, in ascending order.
    """
    # Bands as wide as the radius, one above the other on a single axis: what a customer reaches
    # lies in three of them, and in each between two bounds.
    gap = 2.0 * GRID
    key = np.floor(terminals[:, 0] / RADIUS) * gap + terminals[:, 1]
    by_key = np.argsort(key, kind="stable")
    bands = np.floor(customers[:, 0] / RADIUS)[:, None] + np.array([-1.0, 0.0, 1.0])
    middle = bands * gap + customers[:, 1:]
    low = np.searchsorted(key[by_key], (middle - RADIUS).ravel())
    width = np.searchsorted(key[by_key], (middle + RADIUS).ravel()) - low
    owner = np.repeat(np.arange(width.size), width)
    terminal = by_key[np.arange(owner.size) + np.repeat(low - (np.cumsum(width) - width), width)]
    owner //= 3
    apart = terminals[terminal] - customers[owner]
    near = apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1] < RADIUS * RADIUS
    owner, terminal = owner[near], terminal[near]
    order = np.lexsort((terminal, owner))
    reach = np.bincount(owner, minlength=len(customers))
    offsets = np.concatenate(([0], np.cumsum(reach))).astype(np.int64)
    return offsets, terminal[order].astype(np.int64)


def _cents(amount: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(amount * 100.0) / 100.0


class World:
    """Customers and terminals; every day of their transactions can be asked for on its own.

    Attributes:
        mean_amount: of each customer's own transactions, shape (customers,).
    """

    def __init__(self, seed: int = 0, customers: int = 5000, terminals: int = 10000) -> None:
        """Place customers and terminals.

        Raises:
            UsageError: the seed is negative, or there are no customers, too many of them, or no
                terminals.
        """
        if seed < 0:
            raise UsageError(f"seed must be 0 or more, not {seed}")
        if not 1 <= customers <= MAX_CUSTOMERS:
            raise UsageError(f"customers must be 1 to {MAX_CUSTOMERS}, not {customers}")
        if terminals < 1:
            raise UsageError(f"terminals must be 1 or more, not {terminals}")
        self.seed = seed
        self.customers = customers
        self.terminals = terminals
        profile = _stream(seed, _Draw.CUSTOMERS).random((4, customers))
        position = profile[:2].T * GRID
        self.mean_amount = MEAN_AMOUNT[0] + profile[2] * (MEAN_AMOUNT[1] - MEAN_AMOUNT[0])
        self._thresholds = _poisson_thresholds(profile[3] * MAX_DAILY_RATE)
        self._offsets, self._members = _terminals_in_reach(
            position, _stream(seed, _Draw.TERMINALS).random((terminals, 2)) * GRID
        )
        reach = np.diff(self._offsets)
        # A customer without a terminal in reach cannot pay (as in the handbook).
        self._thresholds[reach == 0] = 1.0

    def day(self, number: int, start: dt.date = DEFAULT_START) -> pd.DataFrame:
        """Return all transactions of one day, in order of time.

        Args:
            number: day counted from `start`, 0 or more.
            start: date of day 0; it moves TX_DATETIME and changes nothing else.

        Returns:
            The nine columns of a day file: int64, datetime64[us] and float64 (amounts in cents
            precision). About 9,600 rows with the default sizes, 0.84 % of them fraud once the
            scenarios have been running for 28 days.
        """
        import pandas as pd  # noqa: PLC0415 - 1 s to import, and only needed here

        if number < 0:
            raise ValueError(f"day number {number} is negative")
        columns = self._columns(number)
        date = np.datetime64(start + dt.timedelta(days=number), "us")
        second = columns["TX_TIME_SECONDS"] - number * SECONDS_PER_DAY
        frame = pd.DataFrame(
            {
                "TRANSACTION_ID": number * ROWS_PER_DAY + np.arange(second.size, dtype=np.int64),
                "TX_DATETIME": date + (second * 1_000_000).astype("timedelta64[us]"),
                **columns,
            }
        )
        # Plain object names: a pickle that needs neither pyarrow nor pandas 3 to be read.
        frame.columns = pd.Index(list(frame.columns), dtype=object)
        return frame

    def _columns(self, number: int) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
        random = _stream(self.seed, _Draw.TRANSACTIONS, number)
        count = (random.random(self.customers)[:, None] >= self._thresholds).sum(axis=1)
        customer = np.repeat(np.arange(self.customers), count)
        drawn = MEAN_SECOND + SECOND_DEVIATION * random.standard_normal(customer.size)
        second = drawn.astype(np.int64)  # towards zero, so 0 stands for (-1, 1): left out
        mean = self.mean_amount[customer]
        amount = mean + mean / 2.0 * random.standard_normal(customer.size)
        amount = np.where(amount < 0.0, random.random(customer.size) * 2.0 * mean, amount)
        first = self._offsets[customer]
        terminal = self._members[random.integers(first, self._offsets[customer + 1])]
        stolen = random.random(customer.size) < STOLEN_SHARE

        kept = np.flatnonzero((second > 0) & (second < SECONDS_PER_DAY))
        kept = kept[np.argsort(second[kept], kind="stable")]
        second, customer, terminal = second[kept], customer[kept], terminal[kept]
        amount, stolen = _cents(amount[kept]), stolen[kept]

        scenario = (amount > SUSPICIOUS_AMOUNT).astype(np.int64)
        scenario[self._bad_terminals(number)[terminal]] = 2
        stolen &= self._bad_customers(number)[customer]
        scenario[stolen] = 3
        amount = np.where(stolen, _cents(amount * STOLEN_FACTOR), amount)
        return {
            "CUSTOMER_ID": customer,
            "TERMINAL_ID": terminal,
            "TX_AMOUNT": amount,
            "TX_TIME_SECONDS": number * SECONDS_PER_DAY + second,
            "TX_TIME_DAYS": np.full(second.size, number, dtype=np.int64),
            "TX_FRAUD": (scenario > 0).astype(np.int64),
            "TX_FRAUD_SCENARIO": scenario,
        }

    def _bad_terminals(self, number: int) -> NDArray[np.bool_]:
        bad = np.zeros(self.terminals, dtype=np.bool_)
        for day in range(max(0, number - TERMINAL_DAYS + 1), number + 1):
            draw = _Draw.COMPROMISED_TERMINALS
            bad[list(_compromised(self.seed, draw, self.terminals, TERMINALS_PER_DAY, day))] = True
        return bad

    def _bad_customers(self, number: int) -> NDArray[np.bool_]:
        bad = np.zeros(self.customers, dtype=np.bool_)
        for day in range(max(0, number - CUSTOMER_DAYS + 1), number + 1):
            draw = _Draw.COMPROMISED_CUSTOMERS
            bad[list(_compromised(self.seed, draw, self.customers, CUSTOMERS_PER_DAY, day))] = True
        return bad


def _encode(frame: pd.DataFrame, file_format: str) -> bytes:
    if file_format == "pkl":
        import pickle  # noqa: PLC0415 - writing one's own

        return pickle.dumps(frame, protocol=5)
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    sink = io.BytesIO()
    table = pa.table({str(name): column.to_numpy() for name, column in frame.items()})
    pq.write_table(table, sink, compression="lz4", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step; an identical file keeps its inode and time."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write_atomic(path, content)


def simulate(
    out: Path,
    *,
    days: int,
    start: dt.date = DEFAULT_START,
    seed: int = 0,
    file_format: str = "pkl",
    on_day: Callable[[Path, int], None] | None = None,
) -> list[Path]:
    """Write `out/training/YYYY-MM-DD.<ext>` and `out/testing/test_dataset.<ext>`.

    A day's bytes depend on seed, date and day number only, not on how many days are written, so
    a longer run over the same directory leaves the training files that are already there alone.

    Args:
        out: directory, created when missing.
        days: number of training days; the test dataset is the day after the last.
        start: date of the first training day.
        seed: 0 or more.
        file_format: one of `FORMATS`.
        on_day: called with path and number of rows after each file, the test dataset included.

    Returns:
        The paths of the training days in order, then that of the test dataset.

    Raises:
        UsageError: days, start, seed or format are out of range; nothing has been written.
    """
    if days < 1:
        raise UsageError(f"days must be 1 or more, not {days}")
    if file_format not in FORMATS:
        raise UsageError(f"format must be one of {', '.join(FORMATS)}, not {file_format!r}")
    if (dt.date.max - start).days < days:
        raise UsageError(f"{days} days from {start} go beyond {dt.date.max}")
    world = World(seed)
    training, testing = out / "training", out / "testing"
    training.mkdir(parents=True, exist_ok=True)
    testing.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(days + 1):
        date = start + dt.timedelta(days=number)
        stem = training / date.isoformat() if number < days else testing / "test_dataset"
        path = stem.with_name(f"{stem.name}.{file_format}")
        frame = world.day(number, start)
        _write(path, _encode(frame, file_format))
        paths.append(path)
        if on_day is not None:
            on_day(path, len(frame))
    return paths

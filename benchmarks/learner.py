"""How well the learner ranks: by seed, beside another candidate, and without feature groups."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ceiling import Clairvoyant, Estimated
from benchmarks.results import Section, Table, verdict
from workload.fraud.evaluation import protocols
from workload.fraud.evaluation.contenders import Prepared, Streaming
from workload.fraud.evaluation.protocols import Learned
from workload.fraud.evaluation.resampling import Draws, figures, interval
from workload.fraud.evaluation.results import Settings, check, prepared
from workload.fraud.model.features import WIDTHS
from workload.fraud.model.learner import Learner
from workload.fraud.model.state import LABEL_LAG_DAYS
from workload.fraud.simulator import DEFAULT_START, World
from workload.fraud.transactions import day_from_frame, read_day
from workload.share.listing import day_files

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workload.fraud.evaluation.contenders import Contender
    from workload.fraud.evaluation.protocols import Scored
    from workload.fraud.transactions import Day

GROUPS = {
    "amount": ("amount", "amount_rule"),
    "hour and weekend": ("hour_weekend",),
    "amount over the card's own level": ("ratio_evidence", "ratio_history"),
    "the card's unusual amounts": ("spell", "since_unusual", "unusual_today"),
    "the card's pace and spending": ("pace", "spending"),
    "the card's visible frauds": ("card_frauds",),
    "the terminal's episode": ("episode", "episode_frauds", "since_fraud", "since_clean"),
}
"""Features that are left out together; every feature is in one group."""

SGD, CEILING = "SGD", "ceiling"

TARGETS = {
    "handbook AP, whole chain": 0.75,
    "handbook AP, 7 days": 0.72,
    "handbook CP@100, whole chain": 0.29,
    "prequential AP, whole chain": 0.78,
}


@dataclass(frozen=True, slots=True, eq=False)
class Without:
    """The learner with some features held constant, so that they tell it nothing."""

    learner: Learner
    features: tuple[int, ...]

    @classmethod
    def group(cls, names: Sequence[str]) -> Without:
        """Return the untrained learner without the named features."""
        order = list(WIDTHS)
        return cls(Learner.untrained(), tuple(order.index(name) for name in names))

    def fit(self, day: Prepared) -> Without:
        """Fit as the learner does."""
        return replace(self, learner=self.learner.fit(self._held(day), day.day.fraud))

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the learner's probabilities."""
        return self.learner.probability(self._held(day))

    def _held(self, day: Prepared) -> NDArray[np.int32]:
        columns = day.columns.copy()
        first = np.cumsum([0, *WIDTHS.values()])
        for feature in self.features:
            columns[:, feature] = first[feature]
        return columns


class Timed:
    """A contender whose fits are timed; shares its clock with those that come of it."""

    def __init__(self, contender: Contender, clock: dict[str, float]) -> None:
        self._contender = contender
        self._clock = clock

    def fit(self, day: Prepared) -> Timed:
        """Fit and count rows and processor seconds."""
        begin = time.process_time()
        fitted = self._contender.fit(day)
        self._clock["seconds"] = self._clock.get("seconds", 0.0) + time.process_time() - begin
        self._clock["rows"] = self._clock.get("rows", 0.0) + day.day.rows
        return Timed(fitted, self._clock)

    def probability(self, day: Prepared) -> NDArray[np.float64]:
        """Return the contender's probabilities."""
        return self._contender.probability(day)


CHOSEN_ON = (0, 1, 2)
"""Seeds on which features and settings were compared."""

FRESH = (3, 4, 5, 6, 7, 8)
"""Seeds on which nothing was chosen: what the learner promises is judged on these."""


def measure(*, quick: bool) -> Section:
    """Run both protocols on simulated days of several seeds."""
    chosen_on, fresh = ((0,), (3,)) if quick else (CHOSEN_ON, FRESH)
    clock: dict[str, float] = {}
    reached: dict[int, dict[str, NDArray[np.float64]]] = {}
    attainable: dict[int, dict[str, NDArray[np.float64]]] = {}
    values: dict[tuple[str, Learned], list[float]] = {}
    for seed in (*chosen_on, *fresh):
        others: dict[str, Contender] = {}
        if seed in chosen_on:
            others = {name: Without.group(names) for name, names in GROUPS.items()}
        world = World(seed)
        days = _days(world, 183)
        both: dict[str, Contender] = {
            SGD: Timed(Streaming.untrained(), clock),
            CEILING: Clairvoyant(world, days, LABEL_LAG_DAYS),
        }
        folds = protocols.handbook(days, {**both, **others}, LABEL_LAG_DAYS)
        pooled = protocols.prequential(days, both, LABEL_LAG_DAYS)
        reached[seed] = _reached(folds, pooled, SGD)
        attainable[seed] = _reached(folds, pooled, CEILING)
        for contender, learned in folds[0].probability if others else ():
            values.setdefault((contender, learned), []).append(
                _average_precision(folds, contender, learned)
            )
    means, ceilings = (
        {name: statistics.mean(float(of[seed][name][0]) for seed in fresh) for name in TARGETS}
        for of in (reached, attainable)
    )
    return Section(
        "Learner",
        f"183 simulated days of each seed, labels {LABEL_LAG_DAYS} days late. Features and "
        f"settings were compared on seeds {_listed(chosen_on)}; on seeds {_listed(fresh)} nothing "
        "was chosen, and the targets are judged on their mean. Handbook protocol: mean of 4 folds; "
        "prequential protocol: days 38 to 182 pooled. AP is average precision, CP@100 card "
        "precision at 100. Brackets of a seed are 95 % bootstrap intervals over cards, of a mean "
        "95 % t intervals over seeds. Rows a second are of fitting alone, per second of processor "
        "time. The ceiling is Bayes' rule on the simulator's own model, by somebody who knows all "
        "its constants and every customer's mean amount, but of who is compromised only what the "
        "labels that have arrived and the amounts tell: what a model would reach that had nothing "
        "left to learn.",
        [
            Table("By seed", ["seed", *TARGETS], _by_seed(reached, chosen_on, fresh)),
            Table("The ceiling", ["seed", *TARGETS], _by_seed(attainable, chosen_on, fresh)),
            _fitting(values, clock),
            _ablation(values),
        ],
        [
            verdict(f"{name}, mean of fresh seeds", means[name], target, 3)
            + f"; the ceiling is {ceilings[name]:.3f}"
            for name, target in TARGETS.items()
        ],
    )


def beside_the_ceiling(directory: Path) -> Table:
    """Judge the learner and the ceiling on other days that the simulator's model describes.

    Args:
        directory: the handbook's own days, all 183 of them, or others that are numbered like them.

    Raises:
        UsageError: there are too few days, or a gap.
        DatasetRefused: a file can't be read.
    """
    files = day_files(directory)
    check(directory, list(files), Settings(protocols.Protocol.handbook))
    days = _prepared(map(read_day, files.values()), next(iter(files)))
    population = Estimated.of([each.day for each in days])
    contenders: dict[str, Contender] = {
        SGD: Streaming.untrained(),
        CEILING: Clairvoyant(population, days, LABEL_LAG_DAYS),
    }
    folds = protocols.handbook(days, contenders, LABEL_LAG_DAYS)
    pooled = protocols.prequential(days, contenders, LABEL_LAG_DAYS)
    rows = [
        [name, *map(_with_interval, _reached(folds, pooled, name).values())] for name in contenders
    ]
    return Table(str(directory), ["", *TARGETS], rows)


def _reached(
    folds: Sequence[Scored], pooled: Sequence[Scored], contender: str
) -> dict[str, NDArray[np.float64]]:
    return {
        "handbook AP, whole chain": _drawn(folds, contender, Learned.chain, "average_precision"),
        "handbook AP, 7 days": _drawn(folds, contender, Learned.window, "average_precision"),
        "handbook CP@100, whole chain": _drawn(
            folds, contender, Learned.chain, "card_precision_100"
        ),
        "prequential AP, whole chain": _drawn(
            pooled, contender, Learned.chain, "average_precision"
        ),
    }


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _by_seed(
    reached: Mapping[int, Mapping[str, NDArray[np.float64]]], *groups: Sequence[int]
) -> list[list[str]]:
    rows = []
    for seeds in groups:
        rows += [
            [f"{seed}", *(_with_interval(reached[seed][name]) for name in TARGETS)]
            for seed in seeds
        ]
        means = [_mean([float(reached[seed][name][0]) for seed in seeds]) for name in TARGETS]
        rows.append([f"mean of {_listed(seeds)}", *means])
    return rows


def _mean(values: Sequence[float]) -> str:
    """Return mean and 95 % t interval."""
    from scipy.stats import t  # noqa: PLC0415

    mean, number = statistics.mean(values), len(values)
    if number == 1:
        return f"{mean:.3f}"
    off = float(t.ppf(0.975, number - 1)) * statistics.stdev(values) / number**0.5
    return f"{mean:.3f} ({mean - off:.3f}\N{EN DASH}{mean + off:.3f})"


def _days(world: World, number: int) -> list[Prepared]:
    days = (day_from_frame(world.day(each)) for each in range(number))
    return _prepared(days, DEFAULT_START)


def _prepared(days: Iterable[Day], first: dt.date) -> list[Prepared]:
    return list(prepared(((day, None) for day in days), first, LABEL_LAG_DAYS, lambda _: None))


def _drawn(
    tests: Sequence[Scored], contender: str, learned: Learned, figure: str
) -> NDArray[np.float64]:
    draws = Draws.of(tests)
    each = [figures(test, test.probability[contender, learned], draws)[figure] for test in tests]
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


def _with_interval(drawn: NDArray[np.float64]) -> str:
    low, high = interval(drawn) or (np.nan, np.nan)
    return f"{drawn[0]:.3f} ({low:.3f}\N{EN DASH}{high:.3f})"


def _average_precision(tests: Sequence[Scored], contender: str, learned: Learned) -> float:
    from sklearn.metrics import average_precision_score  # noqa: PLC0415

    return statistics.mean(
        float(average_precision_score(test.fraud, test.probability[contender, learned]))
        for test in tests
    )


def _fitting(values: dict[tuple[str, Learned], list[float]], clock: dict[str, float]) -> Table:
    chain, window = (statistics.mean(values[SGD, learned]) for learned in Learned)
    speed = clock["rows"] / clock["seconds"]
    columns = ["learner", "AP, whole chain", "AP, 7 days", "rows/s"]
    rows = [[SGD, f"{chain:.4f}", f"{window:.4f}", f"{speed:,.0f}"]]
    return Table("Fitting, handbook protocol, mean of seeds", columns, rows)


def _ablation(values: dict[tuple[str, Learned], list[float]]) -> Table:
    rows = []
    for name in GROUPS:
        cells = []
        for learned in Learned:
            lost = [
                without - whole
                for whole, without in zip(values[SGD, learned], values[name, learned], strict=True)
            ]
            cells.append(f"{statistics.mean(values[name, learned]):.4f}")
            span = f" ({min(lost):+.4f} to {max(lost):+.4f})" if len(lost) > 1 else ""
            cells.append(f"{statistics.mean(lost):+.4f}{span}")
        rows.append([name, *cells])
    columns = ["without", "AP, whole chain", "change", "AP, 7 days", "change"]
    return Table("Without each group of features, handbook protocol, mean of seeds", columns, rows)

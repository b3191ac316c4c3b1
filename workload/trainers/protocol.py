"""The protocol of a trainer: all that the worker and the chain know of what is learned.

A worker calls `prepare` as soon as it has claimed a dataset, side by side with other workers. When
the dataset's turn has come it calls `train`, `evaluate` with the model before it unless `train` has
tested that on the way, `evaluate` with the testing dataset, and `save`. Another worker, on another
machine, continues from there with `load`. No call relies on what another one left behind.

**Every method is a pure function of its arguments**: equal arguments give equal results on every
worker, in every process, at every time. No clock, no unseeded random numbers, no order of a set, no
file and no network, and no result that depends on earlier calls. Arguments are never changed. The
final checkpoint is then the same, byte for byte, for any number of workers and any schedule of
crashes.

What may be raised: `DatasetRefused` by `prepare`, and ValueError by `load`, both with one line. Any
other exception counts as a failed attempt at the dataset, and the chain halts after some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from workload.share.dataset_file import DatasetFile

    Metrics = Mapping[str, object]
    """Figure by name: numbers, None where one is undefined, or more detail as builtins.

    A number may be NumPy's. One that is not finite is None in the ledger.

    A `histogram` is kept only of the day a model is tested on next, since only that is pooled.
    """


class Prepared(Protocol):
    """What a trainer makes of a dataset file; anything beyond this is its own affair."""

    @property
    def date(self) -> dt.date:
        """The day of its rows; that of the name, if the name promises one."""

    @property
    def rows(self) -> int:
        """How many rows it has."""


D = TypeVar("D", bound=Prepared)
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Trained(Generic[M]):
    """What a step of training gives.

    Attributes:
        model: the model after the day; the one before is left as it was.
        metrics: of the model on the day it has just learned.
        facts: what else the ledger is to say of the day, as builtins or NumPy numbers.
        next_day: what `evaluate` returns for the model before and the day, where training has
            worked it out on the way; None otherwise.
    """

    model: M
    metrics: Metrics
    facts: Mapping[str, object] = field(default_factory=dict)
    next_day: Metrics | None = None


Folded = Trained
"""Its name in earlier versions, in which the method `train` was called `fold`."""


class Trainer(Protocol[D, M]):
    """A trainer of models `M` from days `D`."""

    @property
    def name(self) -> str:
        """Lower-case letters, digits and hyphens; checkpoints say whose they are.

        A chain is learned by one trainer. Choose another name when older checkpoints can no longer
        be loaded.
        """

    @property
    def options(self) -> Mapping[str, str]:
        """What, besides the name, must stay the same along a chain; recorded with every day."""

    @property
    def headline(self) -> Sequence[str]:
        """The metrics to show where there is room for few, the most important one last."""

    def prepare(self, file: DatasetFile) -> D:
        """Decode and check a file: the part of the work that needs no turn.

        Raises:
            DatasetRefused: the bytes, or the date of the name, rule the file out for good. One
                line that says what is wrong, where, and what is allowed, without the file's name.
                It decides that the dataset is a dead letter, so it must depend on nothing else.
        """

    def start(self) -> M:
        """Return the model before the first day."""

    def train(self, model: M, data: D) -> Trained[M]:
        """Learn a day that is after all days that `model` has learned.

        This is the part that is done one day at a time; what can be done in `prepare` should be.
        """

    def evaluate(self, model: M, data: D) -> Metrics:
        """Test a model on a day that it has not learned, and that is after all it has learned."""

    def save(self, model: M) -> Mapping[str, object]:
        """Return all that `load` needs: dicts with text keys, lists, builtins, NumPy's arrays.

        No classes: the chain encodes it canonically and adds the day's ledger record, so that equal
        models have equal bytes and reading them runs nothing. A model must already be rounded to
        what is stored: `load(save(model))` is to learn on exactly as `model` would.
        """

    def load(self, saved: Mapping[str, Any]) -> M:
        """Undo `save`.

        Raises:
            ValueError: one line; it was saved by another version, which this one can't go on from.
        """

"""A trainer as it was written for the protocol of an earlier version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from examples.energy_load import EnergyLoad, Forecaster
from workload.trainers.protocol import Folded

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mine:
    """The example, with the training step called fold."""

    name = EnergyLoad.name
    options: Mapping[str, str] = {}
    headline = EnergyLoad.headline
    prepare = EnergyLoad.prepare
    start = EnergyLoad.start
    evaluate = EnergyLoad.evaluate
    save = EnergyLoad.save
    load = EnergyLoad.load

    def fold(self, model: Forecaster, data: Any) -> Folded[Forecaster]:
        trained = EnergyLoad().train(model, data)
        return Folded(trained.model, trained.metrics)

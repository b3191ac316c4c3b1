"""Trainers that break their promises, each another one; and objects that are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from examples.energy_load import EnergyLoad, Forecaster
from workload.trainers.protocol import Trained

INSTANCE = EnergyLoad()


class Incomplete:
    name = "incomplete"

    def prepare(self) -> None: ...


class Named(EnergyLoad):
    name = "Has Spaces"


class Impostor(EnergyLoad):
    name = "fraud"


class NoHeadline(EnergyLoad):
    headline = ()  # type: ignore[assignment]


class OddOptions(EnergyLoad):
    options = {"horizon": 24}  # type: ignore[dict-item]  # noqa: RUF012


class Explodes(EnergyLoad):
    def __init__(self) -> None:
        raise OSError("no such file: weights.bin")


class Forgetful(EnergyLoad):
    """Stores less than it knows."""

    name = "forgetful"

    def save(self, model: Forecaster) -> dict[str, object]:
        return {**super().save(model), "gram": model.gram.astype(np.float32)}


class Unordered(EnergyLoad):
    """Depends on the order of a set of texts."""

    name = "unordered"

    def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
        folded = super().train(model, data)
        return Trained(folded.model, {"order": " ".join({str(x) for x in range(99)})})


class Meddler(EnergyLoad):
    """Changes the model that it is given."""

    name = "meddler"

    def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
        folded = super().train(model, data)
        model.moment[0] += 1
        return folded


class Flattering(EnergyLoad):
    """Tests the model before the day on the way, after it has learned the day."""

    name = "flattering"

    def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
        trained = super().train(model, data)
        return replace(trained, next_day=self.evaluate(trained.model, data))


class Seasonal(EnergyLoad):
    """Takes options, and records them."""

    def __init__(self, season: str, name_: str = "") -> None:
        self.options = {"season": season, "name_": name_}


class Silent(EnergyLoad):
    """Takes an option that the chain never hears of."""

    def __init__(self, season: str) -> None:
        self.season = season

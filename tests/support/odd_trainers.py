"""Trainers that break their promises, each another one; and objects that are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from examples.energy_load import EnergyLoad, Forecaster
from workload.trainers.protocol import Folded

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

    def fold(self, model: Forecaster, data: Any) -> Folded[Forecaster]:
        folded = super().fold(model, data)
        return Folded(folded.model, {"order": " ".join({str(x) for x in range(99)})})


class Meddler(EnergyLoad):
    """Changes the model that it is given."""

    name = "meddler"

    def fold(self, model: Forecaster, data: Any) -> Folded[Forecaster]:
        folded = super().fold(model, data)
        model.moment[0] += 1
        return folded

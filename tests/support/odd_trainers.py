"""Trainers that break their promises, each another one; and objects that are none."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from examples.energy_load import EnergyLoad, Forecaster
from workload.queue import Queue, connect
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


class Helped(EnergyLoad):
    """Ends a helper process, and has one leave by itself, for each file."""

    name = "helped"

    def prepare(self, file: Any) -> Any:
        helper = multiprocessing.get_context("fork").Process(target=signal.pause)
        helper.start()
        helper.terminate()
        helper.join(30)
        if helper.exitcode != -signal.SIGTERM:
            raise RuntimeError(f"the helper ended with {helper.exitcode}")
        if (process := os.fork()) == 0:
            sys.exit(7)
        if (code := os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])) != 7:
            raise RuntimeError(f"the forked process ended with {code}")
        return super().prepare(file)


class Leaver(EnergyLoad):
    """Ends its process, as a script does."""

    name = "leaver"

    def prepare(self, file: Any) -> Any:  # noqa: ARG002
        sys.exit("no more of this")


class Talkative(EnergyLoad):
    """Prints, also around Python's own streams and at the end, and has a process print."""

    name = "talkative"

    def __init__(self) -> None:
        atexit.register(print, "farewell")

    def prepare(self, file: Any) -> Any:
        print("preparing", file.name)  # noqa: T201
        os.write(1, b"{}\n")
        subprocess.run(["echo", "from a process"], check=True)
        return super().prepare(file)


class LeavesElsewhere(EnergyLoad):
    """Ends the process, but not the first one that asks it."""

    name = "leaves-elsewhere"

    def start(self) -> Forecaster:
        if "--hashes" in sys.argv:
            os.kill(os.getpid(), 35)
        return super().start()


class Failing(EnergyLoad):
    """Meets what its author did not think of."""

    name = "failing"

    def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
        raise KeyError(f"no {type(model).__name__}\nfor {data.date}")


class Numeric(EnergyLoad):
    """Hands over what NumPy computes, defined or not, and what no ledger holds if told so."""

    name = "numeric"

    def __init__(self, kind: str = "numbers") -> None:
        self.options = {"kind": kind}

    def train(self, model: Forecaster, data: Any) -> Trained[Forecaster]:
        trained = super().train(model, data)
        facts: dict[str, object] = {"mean": np.float32(0.5), "best": [{"hour": np.int64(7)}]}
        if self.options["kind"] == "array":
            facts["best"] = [{"hours": np.arange(3)}]
        if self.options["kind"] == "date":
            facts["best"] = [{"day": np.datetime64("2024-01-01")}]
        metrics = {
            "mean_absolute_error": np.float64("nan"),
            "ratio": np.float64("inf"),
            "count": np.int64(24),
            "good": np.bool_(True),
        }
        return replace(trained, metrics=metrics, facts=facts)


class LeavesAtOnce(EnergyLoad):
    def __init__(self) -> None:
        sys.exit(0)


class Disloyal(EnergyLoad):
    """Has its worker's datasets handed back while it works on them."""

    name = "disloyal"

    def prepare(self, file: Any) -> Any:
        queue = Queue(connect(os.environ["WORKLOAD_REDIS_URL"]))
        for claim in queue.status().claims:
            Queue(queue.client, session=claim.session).hand_back()
        return super().prepare(file)


class Faithless(Disloyal):
    """Fails, too, when it is too late to count that."""

    def prepare(self, file: Any) -> Any:
        super().prepare(file)
        raise OSError("no connection")

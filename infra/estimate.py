"""What a stack costs a month, from its settings alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra import prices
from infra.quantities import gib, quantity

if TYPE_CHECKING:
    from infra.settings import Settings

IMAGE_GIB = 1.0
"""What the registry holds, allowed for: an image is about a third of that."""


@dataclass(frozen=True)
class Estimate:
    """USD a month by item, at the list prices of us-central1.

    Attributes:
        idle: what is billed whether or not anything trains.
        training_hour: what the workers cost an hour, all of them side by side.
        training_hours: hours a month that they are assumed to run.
        credit: the free-tier credit that one cluster of a billing account gets.
        unpriced: parts of the stack that the price table does not hold.
    """

    idle: dict[str, float]
    training_hour: dict[str, float]
    training_hours: int
    credit: float
    unpriced: tuple[str, ...] = ()

    @property
    def training(self) -> dict[str, float]:
        """USD a month that the workers add in `training_hours` hours."""
        return {item: usd * self.training_hours for item, usd in self.training_hour.items()}

    @property
    def idle_total(self) -> float:
        """USD a month of a stack that trains nothing."""
        return sum(self.idle.values())

    @property
    def total(self) -> float:
        """USD a month with the hours of training, before the credit."""
        return self.idle_total + sum(self.training.values())

    def as_output(self) -> dict[str, object]:
        """Return the stack output `estimated_monthly_usd`."""
        return {
            "idle": round(self.idle_total, 2),
            "with_training": round(self.total, 2),
            "with_training_after_credit": round(self.total - self.credit, 2),
            "items": {
                **{item: round(usd, 2) for item, usd in self.idle.items()},
                **{item: round(usd, 2) for item, usd in self.training.items()},
            },
            "not_priced": list(self.unpriced),
        }

    def hourly(self) -> dict[str, object]:
        """Return the stack output `estimated_hourly_usd`, with which `scripts/status.sh` counts."""
        return {
            "idle": round(self.idle_total / prices.HOURS_PER_MONTH, 6),
            "training": round(sum(self.training_hour.values()), 6),
            "not_priced": list(self.unpriced),
        }

    def line(self) -> str:
        """Return one line for people."""
        if not self.idle:
            return "estimate: no cloud resources, nothing to pay"
        items = sorted({**self.idle, **self.training}.items(), key=lambda item: -item[1])
        parts = ", ".join(f"{name} {usd:.2f}" for name, usd in items)
        unpriced = f"; not priced: {', '.join(self.unpriced)}" if self.unpriced else ""
        return (
            f"estimate: {self.idle_total:.0f} USD a month idle, {self.total:.0f} with "
            f"{self.training_hours} h of training, {self.credit:.0f} less with the free-tier "
            f"credit ({parts}){unpriced}"
        )


def estimate(settings: Settings) -> Estimate:
    """Return the cost of the stack that `settings` describe, without traffic between zones."""
    s = settings
    if not s.on_google:
        return Estimate({}, {}, s.training_hours_per_month, 0.0)
    month = prices.HOURS_PER_MONTH
    fee = prices.CLUSTER_HOUR * month
    rate = prices.FILESTORE_USD_PER_GIB_MONTH[s.filestore_tier]
    idle = {"filestore": s.filestore_capacity_gib * rate, "cluster fee": fee}
    unpriced: list[str] = []

    autopilot = s.cluster == "autopilot"
    if not autopilot:
        _add_nodes(idle, "system node", s.system_machine_type, month, unpriced)
    if s.redis_mode == "memorystore":
        gib_hour = prices.MEMORYSTORE_GIB_HOUR[s.memorystore_tier]
        idle["redis"] = s.memorystore_gib * gib_hour * month
    else:
        if autopilot:
            cores, size = float(quantity(s.redis_cpu)), float(gib(s.redis_memory))
            hour = cores * prices.AUTOPILOT_CORE_HOUR + size * prices.AUTOPILOT_GIB_HOUR
            idle["redis"] = hour * month
        idle["redis disk"] = s.redis_disk_gib * prices.DISK_GIB_MONTH
    if s.network == "new":
        idle["network address translation"] = prices.NAT_GATEWAY_HOUR * month
    if not s.image:
        idle["image"] = IMAGE_GIB * prices.IMAGE_GIB_MONTH

    workers: dict[str, float] = {}
    cores = float(quantity(s.worker_cpu)) * s.parallelism
    size = float(gib(s.worker_memory)) * s.parallelism
    if autopilot:
        hour = cores * prices.AUTOPILOT_SPOT_CORE_HOUR + size * prices.AUTOPILOT_SPOT_GIB_HOUR
        workers["workers"] = hour
    else:
        _add_nodes(workers, "workers", s.spot_machine_type, prices.SPOT_SHARE, unpriced)
        if "workers" in workers:  # at most: the autoscaler packs workers closer where it can
            workers["workers"] *= min(s.parallelism, s.spot_max_nodes)
    return Estimate(
        idle,
        workers,
        s.training_hours_per_month,
        min(fee, prices.FREE_TIER_MONTH),
        tuple(unpriced),
    )


def _add_nodes(
    items: dict[str, float], name: str, machine: str, hours: float, unpriced: list[str]
) -> None:
    if machine in prices.MACHINE_HOUR:
        items[name] = prices.MACHINE_HOUR[machine] * hours
    else:
        unpriced.append(f"{name} ({machine})")

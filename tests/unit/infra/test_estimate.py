"""The monthly estimate: every part of the stack at its list price."""

from __future__ import annotations

import pytest

from infra import prices
from infra.estimate import estimate
from infra.settings import FILESTORE_GIB, Settings, parse
from tests.support.program import PROJECT, declare, defaults


def _settings(**changes: object) -> Settings:
    return parse({**defaults(), **changes}, PROJECT)


def test_the_default_stack_costs_what_its_parts_do() -> None:
    cost = estimate(_settings())
    assert cost.idle == pytest.approx(
        {
            "filestore": 1024 * 0.16,
            "cluster fee": 73.0,
            "redis": (0.25 * 0.0445 + 1 * 0.0049225) * 730,
            "redis disk": 0.4,
            "image": 0.1,
        }
    )
    assert cost.training == pytest.approx({"workers": (0.0133 + 2 * 0.0014767) * 30})
    assert cost.idle_total == pytest.approx(249.05, abs=0.01)
    assert cost.total - cost.credit == pytest.approx(176.54, abs=0.01)


def test_the_hourly_rates_are_those_of_the_monthly_estimate() -> None:
    for hours in (0, 30):
        cost = estimate(_settings(parallelism=4, training_hours_per_month=hours))
        rates = cost.hourly()
        assert rates["idle"] == pytest.approx(cost.idle_total / 730, abs=1e-6)
        assert rates["training"] == pytest.approx(4 * (0.0133 + 2 * 0.0014767), abs=1e-6)
    assert estimate(parse({**defaults(), "cluster": "existing"}, "")).hourly() == {
        "idle": 0.0,
        "training": 0.0,
        "not_priced": [],
    }


def test_filestore_is_by_far_the_largest_item() -> None:
    cost = estimate(_settings())
    assert max(cost.idle, key=cost.idle.__getitem__) == "filestore"
    assert cost.idle["filestore"] > cost.idle_total / 2


@pytest.mark.parametrize(
    ("changes", "item", "factor"),
    [
        ({"filestore_capacity_gib": 2048}, "filestore", 2),
        ({"parallelism": 8}, "workers", 8),
        ({"training_hours_per_month": 300}, "workers", 10),
        ({"redis_disk_gib": 8}, "redis disk", 2),
        ({"redis_cpu": "500m", "redis_memory": "2Gi"}, "redis", 2),
    ],
)
def test_a_setting_moves_its_own_item_in_proportion(
    changes: dict[str, object], item: str, factor: float
) -> None:
    before, after = estimate(_settings()), estimate(_settings(**changes))
    old, new = {**before.idle, **before.training}, {**after.idle, **after.training}
    assert new.pop(item) == pytest.approx(old.pop(item) * factor)
    assert new == old


def test_a_standard_cluster_pays_for_nodes_and_not_for_pods() -> None:
    cost = estimate(_settings(cluster="standard"))
    assert "redis" not in cost.idle
    assert cost.idle["system node"] == pytest.approx(prices.MACHINE_HOUR["e2-standard-2"] * 730)
    spot = prices.MACHINE_HOUR["e2-standard-4"] * prices.SPOT_SHARE * 30
    assert cost.training["workers"] == pytest.approx(spot)


def test_managed_redis_a_private_network_and_a_given_image_change_the_items() -> None:
    cost = estimate(
        _settings(
            redis_mode="memorystore",
            memorystore_tier="STANDARD_HA",
            network="new",
            image=f"registry.example/workload@sha256:{'a' * 64}",
        )
    )
    assert cost.idle["redis"] == pytest.approx(0.054 * 730)
    assert cost.idle["network address translation"] == pytest.approx(0.0014 * 730)
    assert {"redis disk", "image"}.isdisjoint(cost.idle)


def test_what_has_no_price_is_named_and_not_counted_as_free() -> None:
    cost = estimate(_settings(cluster="standard", spot_machine_type="c3-highcpu-8"))
    assert cost.unpriced == ("workers (c3-highcpu-8)",)
    assert "not priced: workers (c3-highcpu-8)" in cost.line()
    assert cost.as_output()["not_priced"] == ["workers (c3-highcpu-8)"]


def test_an_existing_cluster_costs_nothing_here() -> None:
    cost = estimate(parse({**defaults(), "cluster": "existing"}, ""))
    assert cost.total == 0
    assert cost.line() == "estimate: no cloud resources, nothing to pay"


def test_every_tier_that_can_be_chosen_has_a_price() -> None:
    assert set(prices.FILESTORE_USD_PER_GIB_MONTH) == set(FILESTORE_GIB)


@pytest.mark.parametrize("preview", [True, False])
def test_the_estimate_is_an_output_and_one_line_in_previews(preview: bool) -> None:
    declared = declare(preview=preview)
    assert [line for line in declared.log if line.startswith("estimate:")] == declared.log
    assert len(declared.log) == 1
    assert "249 USD a month idle" in declared.log[0]
    assert declared.outputs["estimated_monthly_usd"] == estimate(_settings()).as_output()

"""What a preview refuses before anything is there: wrong settings, and what the policies forbid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from apiserver import ControlPlane

if TYPE_CHECKING:
    from pathlib import Path

    from stack_under_test import StackUnderTest


@pytest.fixture(scope="module")
def control_plane(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """Return a cluster that does not run: the stack's own is unknown until it is made."""
    return ControlPlane(binaries, tmp_path_factory.mktemp("control-plane"))


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        (
            {"filestore_share": "a_name_of_17_char"},
            "batch-aiml:filestore_share = a_name_of_17_char: must be 1 to 16 letters",
        ),
        (
            {"filestore_tier": "TAPE"},
            "batch-aiml:filestore_tier = TAPE: must be BASIC_HDD or BASIC_SSD",
        ),
        (
            {"zone": "europe-west1-b"},
            "batch-aiml:zone = europe-west1-b: must lie in region us-central1",
        ),
        (
            {"parallelism": 0},
            "batch-aiml:parallelism = 0: must be a whole number from 1 to 1000",
        ),
        (
            {"worker_memory": "16Gi"},
            "batch-aiml:worker_memory = 16Gi: must be 1 to 6.5 GiB per core",
        ),
        ({"paralelism": 3}, "batch-aiml:paralelism = 3: no such key"),
        (
            {"parallelism": "three"},
            "Stack 'dev' with configuration key 'parallelism' must be of type 'integer'",
        ),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_declared(
    stack: StackUnderTest, values: dict[str, object], refusal: str
) -> None:
    with stack.configured(**values):
        result = stack.preview()
    assert result.code != 0
    assert len(result.errors) == 1, result.output
    assert refusal in result.errors[0]
    assert "Traceback" not in result.output
    assert "gcp:" not in result.output


def test_the_dev_stack_passes_in_its_first_preview(stack: StackUnderTest) -> None:
    result = stack.preview("--policy-pack", "policy").ok()
    assert "batch-aiml@v" in result.output
    assert "mandatory" not in result.output


def test_an_unprotected_share_of_production_is_refused_in_the_preview(
    stack: StackUnderTest,
) -> None:
    with stack.configured(production=True):
        result = stack.preview("--policy-pack", "policy")
    assert result.code != 0
    assert "share-filestore: production without protect" in result.output
    with stack.configured(production=True, protect=True):
        stack.preview("--policy-pack", "policy").ok()


def test_the_budget_is_configuration_of_the_pack(stack: StackUnderTest) -> None:
    limits = stack.directory / "limits.json"
    limits.write_text('{"share-within-budget": {"max_monthly_usd": 100}}')
    result = stack.preview("--policy-pack", "policy", "--policy-pack-config", str(limits))
    assert result.code != 0
    assert "share-filestore: 164 USD a month; at most 100 (max_monthly_usd)" in result.output

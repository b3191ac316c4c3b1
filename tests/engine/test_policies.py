"""The policy pack in previews of the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack import StackUnderTest


def test_the_dev_stack_passes_in_its_first_preview(stack: StackUnderTest) -> None:
    result = stack.preview("--policy-pack", "policy").ok()
    assert "batch-aiml@v" in result.output
    assert "mandatory" not in result.output


def test_an_unprotected_share_of_production_is_refused_in_the_preview(
    stack: StackUnderTest,
) -> None:
    stack.configure({"production": True})
    result = stack.preview("--policy-pack", "policy")
    assert result.code != 0
    assert "share-filestore: production without protect" in result.output
    stack.configure({"protect": True})
    stack.preview("--policy-pack", "policy").ok()


def test_the_budget_is_configuration_of_the_pack(stack: StackUnderTest) -> None:
    limits = stack.directory / "limits.json"
    limits.write_text('{"share-within-budget": {"max_monthly_usd": 100}}')
    result = stack.preview("--policy-pack", "policy", "--policy-pack-config", str(limits))
    assert result.code != 0
    assert "share-filestore: 164 USD a month; at most 100 (max_monthly_usd)" in result.output

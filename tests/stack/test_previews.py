"""What is refused before anything is there: wrong settings, and what the policy forbids."""

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


@pytest.mark.parametrize(
    "command",
    [
        ("preview",),
        ("preview", "--refresh", "--expect-no-changes"),
        ("preview", "--policy-pack", "policy"),
        ("up", "--yes"),
    ],
    ids=" ".join,
)
def test_an_unprotected_share_of_production_is_refused_by_every_command(
    stack: StackUnderTest, command: tuple[str, ...]
) -> None:
    with stack.configured(production=True):
        result = stack.run(*command)
    assert result.code != 0
    [error] = [line for line in result.errors if "filestore" in line]
    assert error == (
        "share-filestore: production without protect; run `pulumi config set protect true` "
        "(policy production-is-protected)"
    )
    assert "Traceback" not in result.output
    assert stack.google.objects() == {}


def test_a_protected_share_of_production_passes(stack: StackUnderTest) -> None:
    with stack.configured(production=True, protect=True):
        stack.preview("--policy-pack", "policy").ok()


def test_the_budget_is_configuration_of_the_pack(stack: StackUnderTest) -> None:
    limits = stack.directory / "limits.json"
    limits.write_text('{"share-within-budget": {"max_monthly_usd": 100}}')
    result = stack.preview("--policy-pack", "policy", "--policy-pack-config", str(limits))
    assert result.code != 0
    assert "share-filestore: 164 USD a month; at most 100 (max_monthly_usd)" in result.output


def test_what_is_refused_is_not_made_without_a_preview_either(stack: StackUnderTest) -> None:
    with stack.configured(max_monthly_usd=100):
        result = stack.up("--skip-preview")
    assert result.code != 0
    assert result.errors == [
        "share-filestore: 164 USD a month; at most 100 (max_monthly_usd) "
        "(policy share-within-budget)"
    ]
    assert not [name for name in stack.google.objects() if "/instances/" in name]
    assert not [
        resource
        for resource in stack.state()["checkpoint"]["latest"]["resources"]
        if resource["type"] == "gcp:filestore/instance:Instance"
    ]


UNDECLARED = """
import runpy
import pulumi

class Door(pulumi.CustomResource):
    def __init__(self):
        super().__init__("gcp:compute/firewall:Firewall", "door", {"network": "default"})

runpy.run_path("stack.py", run_name="__main__")
Door()
"""


def test_a_type_that_the_stack_does_not_declare_is_refused(stack: StackUnderTest) -> None:
    program = stack.project / "__main__.py"
    original = program.readlink()
    (stack.project / "stack.py").symlink_to(original)
    program.unlink()
    program.write_text(UNDECLARED)
    try:
        result = stack.preview()
    finally:
        program.unlink()
        program.symlink_to(original)
    assert result.code != 0
    assert result.errors == [
        "door: gcp:compute/firewall:Firewall is no type of this stack; "
        "policy/rules/declared.py lists them all (policy declared-types-only)"
    ]

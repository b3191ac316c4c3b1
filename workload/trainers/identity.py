"""Whose a chain is: a chain goes on with the trainer and the options that it began with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workload.trainers.protocol import Trainer

DEFAULT = "fraud"
"""The trainer of a record that names none, as those made before there were others."""

DEFAULT_HEADLINE = ("frauds", "average_precision")
"""Its headline."""


def identity(trainer: Trainer[Any, Any]) -> dict[str, object]:
    """What a ledger record says of its trainer."""
    if trainer.name == DEFAULT:
        return dict(trainer.options)
    named = {"trainer": trainer.name, "headline": list(trainer.headline)}
    return {**named, **trainer.options}


def made_by(record: Mapping[str, Any]) -> str:
    """Name of the trainer that a ledger record is from."""
    return str(record.get("trainer", DEFAULT))


def check_name(name: str, record: Mapping[str, Any]) -> None:
    """Raises UsageError when a chain's record is from another trainer than ``name``."""
    if record and made_by(record) != name:
        raise UsageError(
            f"trainer {name!r}: the chain has been learned by {made_by(record)!r}; use that "
            "trainer, or another share"
        )


def check_identity(trainer: Trainer[Any, Any], record: Mapping[str, Any]) -> None:
    """Raises UsageError when a trainer can't go on with the chain that a record is from."""
    check_name(trainer.name, record)
    for option, value in trainer.options.items():
        if record and record.get(option) != value:
            raise UsageError(
                f"{option} {value!r}: the chain has learned {record.get(option)!r}; use that "
                f"{option}, or another share"
            )

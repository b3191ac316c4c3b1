"""Whose a chain is: a chain goes on with the trainer and the options that it began with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workload.errors import UsageError
from workload.trainers.loading import name_of, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workload.trainers.protocol import Trainer

FIELDS = ("trainer", "headline", "options")
"""What every ledger record says of its trainer."""


def identity(trainer: Trainer[Any, Any]) -> dict[str, object]:
    """Return what a ledger record says of its trainer: the `FIELDS`."""
    return {
        "trainer": trainer.name,
        "headline": list(trainer.headline),
        "options": dict(trainer.options),
    }


def trainer_of(record: Mapping[str, Any]) -> str:
    """Return the name of the trainer that a ledger record is from.

    Raises:
        UsageError: the record names none.
    """
    if any(field not in record for field in FIELDS):
        raise UsageError(
            f"{record.get('dataset', 'a record')}: its record does not name the trainer, as in "
            "older versions of this program; `workload queue rebuild` learns the chain again"
        )
    return str(record["trainer"])


def require_name(name: str, record: Mapping[str, Any]) -> None:
    """Check that a chain's record is from the trainer `name`; an empty record is from any.

    Raises:
        UsageError: it is from another one.
    """
    if record and trainer_of(record) != name:
        raise UsageError(
            f"trainer {name!r}: the chain has been learned by {trainer_of(record)!r}; use that "
            "trainer, or another share"
        )


def require_identity(trainer: Trainer[Any, Any], record: Mapping[str, Any]) -> None:
    """Check that a trainer can continue the chain that a record is from.

    Raises:
        UsageError: the chain is another trainer's, or was learned with other options.
    """
    require_name(trainer.name, record)
    if not record:
        return
    _require_options({**dict.fromkeys(record["options"]), **trainer.options}, record)


def require_setting(setting: str, record: Mapping[str, Any]) -> None:
    """Check that a setting, whose trainer need not be imported, fits a chain that has begun.

    Raises:
        UsageError: the chain is another trainer's, or an option of the setting had another value.
    """
    require_name(name_of(setting), record)
    _require_options(parsed(setting)[1], record)


def _require_options(options: Mapping[str, str | None], record: Mapping[str, Any]) -> None:
    for option, value in sorted(options.items()):
        if (learned := record["options"].get(option)) != value:
            raise UsageError(
                f"{option} {value!r}: the chain has learned {learned!r}; use that {option}, or "
                "another share"
            )

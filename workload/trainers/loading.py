"""Finds the trainer that the settings name, before anything is claimed."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from workload.errors import UsageError
from workload.trainers.identity import DEFAULT

if TYPE_CHECKING:
    from workload.trainers.protocol import Trainer

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PATH = re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_METHODS = ("prepare", "start", "fold", "evaluate", "save", "load")


def load(trainer: str, *, label: str) -> Trainer[Any, Any]:
    """Returns the trainer of a setting.

    Args:
        trainer: "fraud", or ``module:attribute`` of a trainer, or of a class of them that needs no
            arguments. The module is looked for among what is installed, then in the current
            directory.
        label: the label column of the trainer "fraud".

    Raises:
        UsageError: it can't be found or imported, or is no trainer.
    """
    if trainer == DEFAULT:
        from workload.fraud.trainer import FraudTrainer  # noqa: PLC0415 - takes a second

        return FraudTrainer(label)
    found = _found(trainer)
    if wrong := _wrong(found):
        raise UsageError(f"trainer {trainer!r}: no trainer: {wrong} (docs/own-trainer.md)")
    return found  # type: ignore[no-any-return]


def name_of(trainer: str) -> str:
    """The name under which the trainer of a setting is recorded; raises UsageError as `load`."""
    return DEFAULT if trainer == DEFAULT else load(trainer, label="").name


def report_module(name: str) -> str:
    """Return the module that writes the reports of a trainer, by the name it is recorded under."""
    return {DEFAULT: "workload.fraud.report"}.get(name, "workload.report")


def _found(trainer: str) -> Any:  # noqa: ANN401 - anything may lie there
    if not _PATH.fullmatch(trainer):
        raise UsageError(
            f"trainer {trainer!r}: no such trainer; allowed are {DEFAULT}, or the import path of "
            "your own, as module:attribute (docs/own-trainer.md)"
        )
    module, _, attribute = trainer.partition(":")
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing in it can take the place of what is installed
    try:
        found = getattr(importlib.import_module(module), attribute)
        return found() if isinstance(found, type) else found
    except Exception as error:
        raise UsageError(
            f"trainer {trainer!r}: can't be loaded ({type(error).__name__}: {error})"
        ) from error


def _wrong(found: object) -> str | None:
    """What keeps an object from being a trainer."""
    if missing := [name for name in _METHODS if not callable(getattr(found, name, None))]:
        return f"it has no method {', '.join(missing)}"
    name, options, headline = (getattr(found, each, None) for each in _ATTRIBUTES)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == DEFAULT:
        return (
            f"its name {name!r} must be 1 to 40 lower-case letters, digits and hyphens, a letter "
            f"first, and not {DEFAULT}"
        )
    if not isinstance(options, dict) or not _all_text([*options, *options.values()]):
        return f"its options {options!r} must be a dict of text"
    if not isinstance(headline, tuple | list) or not headline or not _all_text(headline):
        return f"its headline {headline!r} must be a tuple of names of metrics"
    return None


_ATTRIBUTES = ("name", "options", "headline")


def _all_text(values: Any) -> bool:  # noqa: ANN401 - anything may lie there
    return all(isinstance(value, str) for value in values)

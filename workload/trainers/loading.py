"""Finds the trainer that a setting names, before anything is claimed.

A setting is the name of a built-in trainer, or the import path of one's own, and may carry options
as the query of a URL does: `fraud?label=TX_FRAUD`, `mine:Mine?season=7&level=2`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from workload.errors import Terminated, UsageError, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workload.trainers.protocol import Trainer

DEFAULT = "fraud"
"""What learns when no setting says otherwise."""

_BUILT_IN = {"fraud": "workload.fraud.trainer:FraudTrainer"}
_OPTIONS = {"fraud": ("label",)}
"""Of the built-in trainers, which take a second to import."""
_REPORTS = {"fraud": "workload.fraud.report"}

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PATH = re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_METHODS = ("prepare", "start", "train", "evaluate", "save", "load")
_MOVED = {"workload.dataset_file": "workload.share.dataset_file"}
"""Modules that trainers import, by the names that they had in earlier versions."""


def load(setting: str) -> Trainer[Any, Any]:
    """Return the trainer of a setting.

    Args:
        setting: a built-in trainer, or `module:attribute` of a trainer, or of a class of them. The
            module is looked for among what is installed, then in the current directory. A class is
            called with the options of the setting, each a text, as keyword arguments.

    Raises:
        UsageError: it can't be found or imported, is no trainer, or does not take the options.
    """
    path, options = parsed(setting)
    try:
        found = _found(_BUILT_IN.get(path, path), options)
    except UsageError as error:
        raise UsageError(f"trainer {setting!r}: {error}") from error
    if callable(getattr(found, "fold", None)) and not hasattr(found, "train"):
        found = _Earlier(found)
    for complaint in _complaints(found, path, options):
        raise UsageError(f"trainer {setting!r}: no trainer: {complaint} (docs/own-trainer.md)")
    return found  # type: ignore[no-any-return]


class _Earlier:
    """A trainer of an earlier version, in which the training step was called fold."""

    def __init__(self, trainer: Any) -> None:  # noqa: ANN401 - anything with that method
        self._trainer = trainer
        self.train = trainer.fold

    def __getattr__(self, name: str) -> object:
        return getattr(self._trainer, name)


def parsed(setting: str) -> tuple[str, dict[str, str]]:
    """Split a setting into the name or path of the trainer and its options.

    Raises:
        UsageError: it is neither a name nor a path, or the options are none.
    """
    path, question, query = setting.partition("?")
    if path not in _BUILT_IN and not _PATH.fullmatch(path):
        raise UsageError(
            f"trainer {setting!r}: no such trainer; allowed are {', '.join(_BUILT_IN)}, or the "
            "import path of your own, as module:attribute (docs/own-trainer.md)"
        )
    try:
        pairs = parse_qsl(query, strict_parsing=True)
    except ValueError:
        pairs = []
    options = dict(pairs)
    unread = question and not pairs
    if unread or len(options) < len(pairs) or not all(map(str.isidentifier, options)):
        raise UsageError(
            f"trainer {setting!r}: the options are not to be read; write {path}?name=value, and "
            "& between several"
        )
    if path in _BUILT_IN:
        try:
            _require_known(options, _OPTIONS[path])
        except UsageError as error:
            raise UsageError(f"trainer {setting!r}: {error}") from error
    return path, options


def with_options(setting: str, options: Mapping[str, str]) -> str:
    """Return a setting with options added to those that it has.

    Raises:
        UsageError: it has one of them already, with another value; or as `parsed`.
    """
    path, given = parsed(setting)
    for name, value in options.items():
        if given.get(name, value) != value:
            raise UsageError(f"trainer {setting!r}: {name} is {value!r} elsewhere; name it once")
    merged = {**given, **options}
    return f"{path}?{urlencode(merged)}" if merged else path


def name_of(setting: str) -> str:
    """Return the name under which the trainer of a setting is recorded.

    Raises:
        UsageError: as `load`; for a built-in trainer, which is not imported, as `parsed`.
    """
    path, _ = parsed(setting)
    return path if path in _BUILT_IN else load(setting).name


def report_module(name: str) -> str:
    """Return the module that writes the report of the trainer of this name."""
    return _REPORTS.get(name, "workload.report")


def _found(path: str, options: Mapping[str, str]) -> Any:  # noqa: ANN401 - anything may lie there
    module, _, attribute = path.partition(":")
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing in it can take the place of what is installed
    try:
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, type):
            return found
        _require_options(found, options)
        return found(**options)
    except (UsageError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        moved = _MOVED.get(getattr(error, "name", None) or "")
        hint = f"; it is {moved} now" if moved else ""
        raise UsageError(f"can't be loaded ({spoken(error)}{hint})") from error


def _require_options(made: type, options: Mapping[str, str]) -> None:
    parameters = inspect.signature(made).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return
    _require_known(options, [each.name for each in parameters])


def _require_known(options: Iterable[str], allowed: Sequence[str]) -> None:
    if unknown := [name for name in options if name not in allowed]:
        raise UsageError(f"unknown option {unknown[0]}; allowed are {', '.join(allowed) or 'none'}")


def _complaints(found: object, path: str, options: Mapping[str, str]) -> Iterator[str]:
    """Say what keeps an object from being a trainer."""
    if missing := [name for name in _METHODS if not callable(getattr(found, name, None))]:
        yield f"it has no method {', '.join(missing)}"
    name, recorded, headline = (getattr(found, each, None) for each in _ATTRIBUTES)
    built_in = path in _BUILT_IN
    if not isinstance(name, str) or not _NAME.fullmatch(name) or (name in _BUILT_IN) != built_in:
        yield (
            f"its name {name!r} must be 1 to 40 lower-case letters, digits and hyphens, a letter "
            f"first, and not {' or '.join(_BUILT_IN)}"
        )
    if not isinstance(recorded, dict) or not _all_text([*recorded, *recorded.values()]):
        yield f"its options {recorded!r} must be a dict of text"
    elif lost := [each for each in options if recorded.get(each) != options[each]]:
        yield f"its options {recorded!r} do not hold {lost[0]}, which the chain must record"
    if not isinstance(headline, tuple | list) or not headline or not _all_text(headline):
        yield f"its headline {headline!r} must be a tuple of names of metrics"


_ATTRIBUTES = ("name", "options", "headline")


def _all_text(values: Any) -> bool:  # noqa: ANN401 - anything may lie there
    return all(isinstance(value, str) for value in values)

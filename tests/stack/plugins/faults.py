"""Failures that a test orders from a provider: errors, and sudden ends of its process.

`ENGINE_FAULTS` names a JSON file with a list of orders; each is used up `times` times,
whichever process meets it::

    [{"operation": "create", "urn": "StatefulSet", "error": "no quota", "times": 1},
     {"operation": "update", "urn": "Job", "crash": "after"}]
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "ENGINE_FAULTS"


class ProviderError(Exception):
    """A failed operation, in one line for the user."""


@contextmanager
def injected(operation: str, urn: str) -> Iterator[None]:
    """Run an operation with whatever fault was ordered for it.

    Raises:
        ProviderError: the fault is an error; the operation does not run.
    """
    fault = _take(operation, urn)
    if "error" in fault:
        raise ProviderError(str(fault["error"]))
    if fault.get("crash") == "before":
        os._exit(1)
    yield
    if fault.get("crash") == "after":
        os._exit(1)


def _take(operation: str, urn: str) -> dict[str, Any]:
    if VARIABLE not in os.environ:
        return {}
    path = Path(os.environ[VARIABLE])
    if not path.exists():
        return {}
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        faults: list[dict[str, Any]] = json.load(file)
        for fault in faults:
            if fault["operation"] != operation or not re.search(fault["urn"], urn):
                continue
            if fault.get("times", 1) <= 0:
                continue
            fault["times"] = fault.get("times", 1) - 1
            file.seek(0)
            file.truncate()
            json.dump(faults, file)
            return fault
    return {}

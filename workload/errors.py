"""Exceptions of the workload, each with the exit code its command ends with.

A message is one line for the person who reads it: what happened, where, and what is allowed or
what to do next.
"""

from __future__ import annotations

import json
from enum import IntEnum
from pathlib import Path
from typing import Any

_TABLE: dict[str, dict[str, Any]] = {
    row["name"]: row for row in json.loads(Path(__file__).with_name("exit_codes.json").read_bytes())
}
"""What stack and scripts read, too."""


class ExitCode(IntEnum):
    """Exit codes of every command, from `exit_codes.json`."""

    DONE = _TABLE["DONE"]["code"]
    FAILED = _TABLE["FAILED"]["code"]
    USAGE = _TABLE["USAGE"]["code"]
    INCOMPLETE = _TABLE["INCOMPLETE"]["code"]
    HANDED_BACK = _TABLE["HANDED_BACK"]["code"]

    @property
    def meaning(self) -> str:
        """What it says, as a clause."""
        return str(_TABLE[self.name]["meaning"])

    @property
    def final(self) -> bool:
        """Whether it fails a Job at once, since another try of a worker cannot help."""
        return bool(_TABLE[self.name]["job"] == "FailJob")


class WorkloadError(Exception):
    """Base of all errors shown to the user as one line."""

    exit_code = ExitCode.FAILED


class UsageError(WorkloadError):
    """An argument, a setting or a credential is wrong."""

    exit_code = ExitCode.USAGE


class DatasetRefused(WorkloadError):
    """The dataset's bytes, or its date against the chain's head, rule it out for good.

    Whether a dataset is refused is a pure function of its bytes and the head's date, so every
    worker decides alike; the item goes to the dead letters at once.
    """

    exit_code = ExitCode.INCOMPLETE


class DatasetFailed(WorkloadError):
    """Work on a dataset failed for a reason that may pass: I/O, memory, a file not visible yet.

    Attributes:
        attempts: after how many the chain halts; None for as many as the worker's settings say.
    """

    attempts: int | None = None


class DatasetTooLarge(DatasetFailed):
    """A dataset needs more memory than its worker has: the chain halts until an operator acts."""

    attempts = 1


class LeaseLost(WorkloadError):
    """The fencing token no longer matches: another worker may hold the item."""


class ChainForgotten(WorkloadError):
    """Redis no longer knows commits that the ledger proves."""


class ShareUnusable(WorkloadError):
    """The share is missing, full, read-only or not writable for this user."""


class QueueUnavailable(WorkloadError):
    """Redis did not answer for longer than the configured wait."""


class ChainHalted(WorkloadError):
    """The chain stands still until an operator retries or skips the item it halted on."""

    exit_code = ExitCode.INCOMPLETE


class Terminated(SystemExit):
    """SIGTERM or SIGINT ends a worker: passes every `except Exception` and is never counted."""


class HandedBack(WorkloadError):
    """SIGTERM or SIGINT ended a run, after its workers handed back what they held."""

    exit_code = ExitCode.HANDED_BACK


def spoken(error: BaseException) -> str:
    """Return what a trainer raised, for one line."""
    if isinstance(error, SystemExit):
        return f"the trainer called sys.exit({'' if error.code is None else repr(error.code)})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

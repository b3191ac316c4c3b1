"""Exceptions of the workload, each with the exit code its command ends with.

A message is one line for the person who reads it: what happened, where, and what is allowed or
what to do next.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    """The queue is drained and every dataset is committed."""
    FAILED = 1
    """Something outside the data went wrong; worth trying again."""
    USAGE = 2
    """Wrong arguments, settings or credentials; trying again cannot help."""
    INCOMPLETE = 3
    """Drained with dead letters, or halted."""
    HANDED_BACK = 75
    """Stopped by SIGTERM after handing the work back (EX_TEMPFAIL of sysexits.h)."""


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
    """Work on a dataset failed for a reason that may pass: I/O, memory, a file not visible yet."""


class LeaseLost(WorkloadError):
    """The fencing token no longer matches: another worker may hold the item."""


class ShareUnusable(WorkloadError):
    """The share is missing, full, read-only or not writable for this user."""


class QueueUnavailable(WorkloadError):
    """Redis did not answer for longer than the configured wait."""


class ChainHalted(WorkloadError):
    """The chain stands still until an operator retries or skips the item it halted on."""

    exit_code = ExitCode.INCOMPLETE


class HandedBack(WorkloadError):
    """SIGTERM or SIGINT ended a run, after its workers handed back what they held."""

    exit_code = ExitCode.HANDED_BACK

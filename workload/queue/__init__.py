"""The work queue: Redis lists anyone may push to, and scripts that lose nothing.

The guarantees, and what they rest on, are described in `docs/how-it-works.md`.
"""

from __future__ import annotations

from workload.queue.addresses import connect
from workload.queue.client import Limits, Queue
from workload.queue.connection import RetryPolicy
from workload.queue.messages import (
    Answer,
    Claimed,
    Claims,
    Commit,
    DeadLetter,
    Empty,
    Halted,
    Head,
    Lease,
    Status,
    Torn,
    Turn,
    Wait,
)

__all__ = [
    "Answer",
    "Claimed",
    "Claims",
    "Commit",
    "DeadLetter",
    "Empty",
    "Halted",
    "Head",
    "Lease",
    "Limits",
    "Queue",
    "RetryPolicy",
    "Status",
    "Torn",
    "Turn",
    "Wait",
    "connect",
]

"""The work queue: Redis lists anyone may push to, and scripts that lose nothing.

The guarantees, and what they rest on, are described in ``docs/how-it-works.md``.
"""

from __future__ import annotations

from workload.queue.client import (
    Claimed,
    Claims,
    Commit,
    DeadLetter,
    Empty,
    Halted,
    Head,
    Lease,
    Queue,
    Status,
    Turn,
    Wait,
)
from workload.queue.connection import connect

__all__ = [
    "Claimed",
    "Claims",
    "Commit",
    "DeadLetter",
    "Empty",
    "Halted",
    "Head",
    "Lease",
    "Queue",
    "Status",
    "Turn",
    "Wait",
    "connect",
]

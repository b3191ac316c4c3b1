"""Names of the keys in Redis; `scripts/_shared.lua` says what each holds."""

from __future__ import annotations

WAITING = "datasets"
"""The waiting list, which anyone may push to; every other key starts with `datasets:`."""

PROCESSING = f"{WAITING}:processing"
LEASES = f"{WAITING}:leases"
CLAIMS = f"{WAITING}:claims"
ORDER = f"{WAITING}:order"
STATE = f"{WAITING}:state"
COMMITS = f"{WAITING}:commits"
DONE = f"{WAITING}:done"
DEAD = f"{WAITING}:dead"
TRIES = f"{WAITING}:tries"
EVENTS = f"{WAITING}:events"

KEYS = (
    WAITING,
    PROCESSING,
    LEASES,
    CLAIMS,
    ORDER,
    STATE,
    COMMITS,
    DONE,
    DEAD,
    TRIES,
    EVENTS,
)
"""All keys, in the order the scripts expect."""

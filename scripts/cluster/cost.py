"""What a stack has cost so far: an estimate, from the hourly rates that are a stack output."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from scripts.cluster import diagnostics

if TYPE_CHECKING:
    from collections.abc import Mapping


def so_far(rates: Mapping[str, Any], since: dt.datetime, job_hours: float, now: dt.datetime) -> str:
    """Return one line for people.

    Args:
        rates: `estimated_hourly_usd`: what idles, and all workers side by side.
        since: when the stack came up.
        job_hours: hours that the Job has run. All its workers are counted for all of them, so
            this is at most what they cost: some were waiting for a machine.
        now: present time.
    """
    if not rates["idle"] and not rates["training"]:
        return "nothing to pay: no cloud resources"
    idle = rates["idle"] * max(0.0, hours(since, now))
    training = rates["training"] * job_hours
    unpriced = f", without {', '.join(rates['not_priced'])}" if rates["not_priced"] else ""
    return (
        f"about {idle + training:.2f} USD since {since:%Y-%m-%d %H:%M} UTC (idle {idle:.2f}, this "
        f"Job's workers at most {training:.2f}; an estimate at list prices{unpriced})"
    )


def job_hours(job: Mapping[str, Any], now: dt.datetime) -> float:
    """Return the hours from the Job's start to its end, or to now."""
    status = job.get("status", {})
    if "startTime" not in status:
        return 0.0
    condition = diagnostics.end(job)
    end = moment(condition["lastTransitionTime"]) if condition else now
    return max(0.0, hours(moment(status["startTime"]), end))


def hours(start: dt.datetime, end: dt.datetime) -> float:
    """Return the hours between two moments."""
    return (end - start).total_seconds() / 3600


def moment(text: str) -> dt.datetime:
    """Parse a time as Kubernetes writes it."""
    return dt.datetime.fromisoformat(text)

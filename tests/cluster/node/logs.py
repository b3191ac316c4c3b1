"""Where the programs of the rehearsal's last run have left their logs."""

import os
from pathlib import Path

LOGS = Path(__file__).parents[3] / "build" / "rehearsal"

PART = "REHEARSAL_PART"
"""Variable with the name of one of several rehearsals side by side."""


def directory() -> Path:
    """Return the directory of the logs of this rehearsal's nodes."""
    return LOGS / os.environ.get(PART, "")

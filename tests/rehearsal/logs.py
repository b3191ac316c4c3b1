"""Where the programs of the rehearsal's last run have left their logs."""

from pathlib import Path

LOGS = Path(__file__).parents[2] / "build" / "rehearsal"

"""Entry of `python -m workload` and of the `workload` command."""

from __future__ import annotations

import os
import signal
import sys

from workload.engine import numeric
from workload.errors import ExitCode


def main() -> None:
    """Pin the arithmetic, then run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.HANDED_BACK))  # nothing is held yet
    numeric.pin(sys.argv[1:])
    from workload.cli.main import run  # noqa: PLC0415 - NumPy may only be imported pinned

    sys.exit(run())


if __name__ == "__main__":
    main()

"""Entry of ``python -m workload`` and of the ``workload`` command."""

from __future__ import annotations

import sys

from workload import numeric


def main() -> None:
    """Pins the arithmetic, then runs the command line."""
    numeric.pin(sys.argv[1:])
    from workload.cli import run  # noqa: PLC0415 - NumPy may only be imported pinned

    sys.exit(run())


if __name__ == "__main__":
    main()

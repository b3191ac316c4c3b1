"""Entry of `python -m workload` and of the `workload` command."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Pin the arithmetic, then run the command line."""
    # Before the imports that take time; nothing is held yet.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(os.EX_TEMPFAIL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # as `numeric.pin` leaves it
    interruptible = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, lambda *_: os._exit(os.EX_TEMPFAIL))
    from workload.engine import numeric  # noqa: PLC0415

    numeric.pin(sys.argv[1:])
    from workload.cli import streams  # noqa: PLC0415

    streams.prepare()
    from workload.cli.main import run  # noqa: PLC0415 - NumPy may only be imported pinned

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = run()
    finally:
        streams.finish()
    sys.exit(code)


if __name__ == "__main__":
    main()

"""Runs a policy pack for `language_host`; its argument is the pack's directory."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the pack until the engine ends it."""
    directory = Path(sys.argv[-1]).resolve()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    sys.path[0] = str(directory)
    sys.argv = [str(directory)]
    runpy.run_path(str(directory / "__main__.py"), run_name="__main__")


if __name__ == "__main__":
    main()

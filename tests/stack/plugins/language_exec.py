"""Runs a Pulumi program once, as `language_host` asks; its argument is the engine's address."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

import grpc
import pulumi
from language_host import REPORTED
from pulumi.runtime import reset_options, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2


def main() -> int:
    """Run `__main__.py` of the working directory; return 32 when it failed and said so."""
    # The engine ends a program whose resources failed, and says itself why: not with a trace, at
    # whatever line the signal comes.
    signal.signal(signal.SIGINT, lambda *_: os._exit(REPORTED))
    request = language_pb2.RunRequest()
    request.ParseFromString(base64.b64decode(sys.stdin.read()))
    reset_options(
        project=request.project,
        stack=request.stack,
        engine_address=sys.argv[1],
        monitor_address=request.monitor_address,
        organization=request.organization or "organization",
        parallel=request.parallel,
        preview=request.dryRun,
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    program = Path.cwd() / "__main__.py"
    sys.path[0] = str(program.parent)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # tasks that nobody waits for

    def run() -> None:
        runpy.run_path(str(program), run_name="__main__")

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return REPORTED
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:  # the engine has ended already
            return 0
        pulumi.log.error(f"RPC error: {error.details()}")
        return REPORTED
    except Exception:  # noqa: BLE001 - the program's own, shown with its trace
        pulumi.log.error(f"Program failed with an unhandled exception:\n{traceback.format_exc()}")
        return REPORTED
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        loop.close()
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How a plugin of the Pulumi engine serves: a port on standard output, then gRPC until the end."""

from __future__ import annotations

import os
import signal
import sys
from concurrent import futures
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_BYTES = 400 * 2**20
"""The engine's own limit for a message."""


def serve(register: Callable[[grpc.Server], None], *, threads: int = 16) -> None:
    """Serve on a free loopback port, tell the engine which, and end with it, quietly.

    Args:
        register: adds the servicers to the server.
        threads: calls served side by side.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
        ],
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for ending in (signal.SIGTERM, signal.SIGINT):
        # Threads of a call that hangs must not keep a plugin alive that the engine has ended.
        signal.signal(ending, lambda *_: os._exit(0))
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()

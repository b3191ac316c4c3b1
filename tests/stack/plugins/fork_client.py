"""Runs a Python program in a fork of `fork_server`, as if it ran in this process.

usage: fork_client.py SOCKET FILE ARGUMENT…

Streams, directory, environment, signals and exit code are the same. It imports little: it is
started six times for each command of the Pulumi CLI.
"""

import json
import os
import signal
import socket
import sys

KILLED = 128 + signal.SIGKILL


def main(path: str, program: list[str]) -> int:
    """Return the program's exit code."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(path)

        def forward(number: int, _frame: object) -> None:
            server.send(bytes([number]))

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, forward)
        directory = os.getcwd()  # noqa: PTH109 - pathlib would double the time to start
        request = {"program": program, "directory": directory, "environment": dict(os.environ)}
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        answer = server.recv(1)
    return answer[0] if answer else KILLED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

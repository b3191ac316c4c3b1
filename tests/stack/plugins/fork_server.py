"""Forks a process for each Python program that the Pulumi engine starts.

usage: fork_server.py SOCKET

Each command of the CLI starts six of them: the language host twice, the program, three providers.
Alone, each would spend most of its time on importing the same SDK; a fork of this process has it.
They are processes of their own still, and what one imports besides is seen by no other.

It prints a line when it is ready and ends when its standard input does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = (
    "pulumi",
    "pulumi.provider",
    "pulumi.runtime.proto.language_pb2_grpc",
    "pulumi.runtime.proto.provider_pb2_grpc",
    "pulumi_docker_build",
    "pulumi_gcp.artifactregistry",
    "pulumi_gcp.container",
    "pulumi_gcp.filestore",
    "pulumi_gcp.projects",
    "pulumi_gcp.serviceaccount",
    "pulumi_kubernetes.apps.v1",
    "pulumi_kubernetes.batch.v1",
    "pulumi_kubernetes.core.v1",
    "pulumi_kubernetes.networking.v1",
    "pulumi_random",
    "pydantic.main",
    "requests",
    "yaml",
)
REQUEST_BYTES = 2**20


@dataclass(eq=False)
class Program:
    """A running fork.

    Attributes:
        client: connection to the process that it runs for.
        handle: a descriptor that is readable once it has ended.
    """

    pid: int
    handle: int
    client: socket.socket


class ForkServer:
    """One thread that waits for clients, for what they say, and for programs to end."""

    def __init__(self, path: str) -> None:
        self._ready = selectors.DefaultSelector()
        self._running: set[Program] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(64)
        self._ready.register(self._listener, selectors.EVENT_READ, self._start)
        self._ready.register(sys.stdin, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Serve until standard input ends, and end what is running then."""
        while True:
            for key, _ in self._ready.select():
                if key.data is None:
                    for program in list(self._running):
                        self._finish(program)
                    return
                key.data()

    def _start(self) -> None:
        client, _ = self._listener.accept()
        message, descriptors, _, _ = socket.recv_fds(client, REQUEST_BYTES, 3)
        pid = os.fork()
        if pid == 0:
            _become(json.loads(message), descriptors)
        os.setpgid(pid, pid)  # here too: it may be ended before it comes to do so itself
        for descriptor in descriptors:
            os.close(descriptor)
        program = Program(pid, os.pidfd_open(pid), client)
        self._running.add(program)
        self._ready.register(program.handle, selectors.EVENT_READ, partial(self._finish, program))
        self._ready.register(client, selectors.EVENT_READ, partial(self._heard, program))

    def _heard(self, program: Program) -> None:
        """Hand on a signal; without its client, a program ends."""
        if program not in self._running:  # it ended in the same moment
            return
        if number := program.client.recv(1):
            os.kill(program.pid, number[0])
        else:
            self._finish(program)

    def _finish(self, program: Program) -> None:
        """End a program with all that it started, and tell its client the exit code."""
        if program not in self._running:
            return
        self._running.remove(program)
        os.killpg(program.pid, signal.SIGKILL)
        _, status = os.waitpid(program.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):  # the client may have ended
            program.client.send(bytes([code if code >= 0 else 128 - code]))
        for source in (program.handle, program.client):
            self._ready.unregister(source)
        os.close(program.handle)
        program.client.close()


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Turn this fork into the program of a request."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["program"]
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:  # noqa: BLE001 - shown as an interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(path: str) -> None:
    """Serve at `path`."""
    for package in PACKAGES:
        getattr(importlib.import_module(package), "__all__", None)  # loads what is lazy, too
    gc.freeze()  # a collection in a fork would copy every page of them
    server = ForkServer(path)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1])

"""A Redis with a spare: two servers, and a Sentinel that promotes the other one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from tests.support.fleet import until
from workload.engine.processes import module_environment, python
from workload.local.redis_server import EmbeddedRedis, EndedAtStart, find_redis_server

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "queue"

_CONFIGURATION = """
port {port}
bind 127.0.0.1
dir {directory}
logfile sentinel.log
sentinel monitor {service} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 2000
"""

_QUICK = (
    *("info-period", "200", "ping-period", "100", "publish-period", "100", "ask-period", "100"),
    *("tilt-trigger", "60000", "tilt-period", "1000"),
)
"""Milliseconds that Redis 7 lets a test choose: a server may learn only after 18 s that it is
demoted, and a Sentinel that was kept waiting for 2 s does nothing for 30 s."""

_PORTS = range(15_000, 32_000)
"""Below those that the system gives to clients, which might take the port of a killed server."""


class RedundantRedis:
    """Primary, replica and Sentinel on loopback, of which either server may be the primary.

    Args:
        directory: keeps their files.
        server: the executable; None finds one.
        options: further settings of both servers.
    """

    def __init__(
        self, directory: Path, server: Path | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.directory = directory
        self._executable = server or find_redis_server()
        self._ports = _free_ports(3)
        self._servers = {
            port: EmbeddedRedis(
                directory / str(port),
                self._executable,
                (
                    "--port",
                    str(port),
                    "--bind",
                    "127.0.0.1",
                    "--repl-diskless-sync-delay",
                    "0",
                    *options,
                ),
                renamed=(),  # a Sentinel commands its servers
            )
            for port in self._ports[:2]
        }
        self._killed = 0
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Address for `workload.queue.connect`."""
        return f"redis+sentinel://127.0.0.1:{self._ports[2]}/{SERVICE}/0"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            for server in self._servers.values():
                stack.enter_context(server)
            with self.client(self._ports[1]) as replica:
                replica.replicaof("127.0.0.1", str(self._ports[0]))
            self._start_sentinel(stack)
            self.wait_until_redundant()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_sentinel(self, stack: ExitStack) -> None:
        configuration = self.directory / "sentinel.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                port=self._ports[2],
                directory=self.directory,
                service=SERVICE,
                primary=self._ports[0],
            )
        )
        words = (str(self._executable), str(configuration), "--sentinel")
        process = subprocess.Popen(
            python("workload.local.run_with_parent", *words),
            env=module_environment(),
            stdin=subprocess.PIPE,
        )
        stack.callback(process.wait)
        assert process.stdin
        stack.callback(process.stdin.close)
        with self.client(self._ports[2]) as sentinel:
            until(lambda: _answers(sentinel), "the Sentinel answers")
            with suppress(redis.ResponseError):  # Redis 6.2 has no such command
                sentinel.execute_command("SENTINEL", "DEBUG", *_QUICK)

    def client(self, port: int) -> redis.Redis:
        """Return a client of one of the three."""
        return redis.Redis(port=port, decode_responses=True)

    def primary_port(self) -> int:
        """Return which server the Sentinel names."""
        with self.client(self._ports[2]) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(SERVICE)[1])

    def spare_port(self) -> int:
        """Return the other one's."""
        return sum(self._ports[:2]) - self.primary_port()

    def wait_until_redundant(self) -> None:
        """Wait until a failover would lose nothing of what was written before."""
        until(self.is_redundant, "the replica follows, and the Sentinel knows it")

    def is_redundant(self) -> bool:
        """Return whether the spare has all that was written before, and the Sentinel knows it."""
        with self.client(self._ports[2]) as sentinel, suppress(redis.RedisError):
            primary, spare = self.primary_port(), self.spare_port()
            master: Any = sentinel.sentinel_master(SERVICE)
            replicas: Any = sentinel.sentinel_slaves(SERVICE)
            seen = [each for each in replicas if each["port"] == spare]
            with self.client(primary) as first, self.client(spare) as second:
                written = first.role()
                role = second.role()
            return (
                [master["flags"]] == ["master"]
                and [(each["flags"], each["master-link-status"]) for each in seen]
                == [("slave", "ok")]
                and written[0] == "master"
                and [int(acknowledged) > 0 for *_, acknowledged in written[2]] == [True]
                and role[0] == "slave"
                and role[3] == "connected"
                and role[4] >= written[1]
            )
        return False

    def fail_over(self) -> None:
        """Let the Sentinel promote the spare, as for maintenance; return when it names it.

        The old primary learns later that it is a replica now.
        """
        before = self.primary_port()
        with self.client(self._ports[2]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        until(lambda: self.primary_port() != before, "the spare is promoted")

    def kill_primary(self) -> None:
        """Kill the primary with -9."""
        self._killed = self.primary_port()
        with self.client(self._killed) as primary:
            os.kill(int(primary.info("server")["process_id"]), signal.SIGKILL)

    def lose_primary(self) -> None:
        """Kill the primary with -9; return when the Sentinel names the other one."""
        before = self.primary_port()
        self.kill_primary()
        until(lambda: self.primary_port() != before, "the spare is promoted")

    def start_killed(self) -> None:
        """Start again what was killed; it follows, unless it still is the primary."""
        until(lambda: self._revive(self._killed), "what was killed has ended")
        self.demote_other()

    def revive(self) -> None:
        """Start again what ended by itself, as a replica does whose disk is full."""
        revived = [self._revive(port) for port in self._servers]
        if any(revived):
            self.demote_other()

    def _revive(self, port: int) -> bool:
        """Start a server again if it has ended; from nothing if it can't load its files.

        A full disk can leave such files. The other server has the data, once it is the primary.
        """
        server = self._servers[port]
        try:
            return server.revive()
        except EndedAtStart:
            until(lambda: self.primary_port() != port, "the spare is promoted")
            shutil.rmtree(server.directory)
            server.start()
            return True

    def demote_other(self) -> None:
        """Tell the other server what the Sentinel tells it in up to 18 s: that it is no primary."""
        primary = self.primary_port()
        with self.client(self.spare_port()) as other, suppress(redis.ConnectionError):
            if other.role()[0] == "master":
                other.replicaof("127.0.0.1", str(primary))
                other.execute_command("CLIENT", "KILL", "TYPE", "normal")


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def _free_ports(number: int) -> list[int]:
    found: set[int] = set()
    while len(found) < number:
        port = random.choice(_PORTS)  # noqa: S311 - any will do
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)

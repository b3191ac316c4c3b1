"""A Redis with a spare: two servers, and a Sentinel that promotes the other one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from tests.support.fleet import until
from workload.local.redis_server import EmbeddedRedis, find_redis_server

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
{more}
"""

_QUICK = "info-period 200 ping-period 100 publish-period 100 ask-period 100 failover-timeout 2000"
"""What Redis 7 lets a test shorten: otherwise a demoted server may learn of it after 18 s."""


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
                ("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", *options),
            )
            for port in self._ports[:2]
        }
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Address for `workload.queue.connect`."""
        return f"redis+sentinel://127.0.0.1:{self._ports[2]}/{SERVICE}/0"

    @property
    def sentinel_port(self) -> int:
        return self._ports[2]

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
                more="",
            )
        )
        process = subprocess.Popen(
            [self._executable, configuration, "--sentinel"], stdin=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        with self.client(self._ports[2]) as sentinel:
            until(lambda: _answers(sentinel), "the Sentinel answers")
            with suppress(redis.ResponseError):  # Redis 6.2 has no such command
                sentinel.execute_command("SENTINEL", "DEBUG", *_QUICK.split())

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
        """Wait until the spare follows, has everything, and the Sentinel knows it."""
        until(self._is_redundant, "the replica follows, and the Sentinel knows it")

    def _is_redundant(self) -> bool:
        with self.client(self._ports[2]) as sentinel, suppress(redis.RedisError):
            master: Any = sentinel.sentinel_master(SERVICE)
            replicas: Any = sentinel.sentinel_slaves(SERVICE)
            if master["flags"] != "master":
                return False
            spare = self.spare_port()
            [known] = [each for each in replicas if each["port"] == spare]
            with self.client(self.primary_port()) as primary, self.client(spare) as replica:
                role = replica.role()
                return (
                    known["flags"] == "slave"
                    and known["master-link-status"] == "ok"
                    and role[:1] == ["slave"]
                    and role[3] == "connected"
                    and primary.role()[1] == role[4]
                )
        return False

    def fail_over(self) -> None:
        """Let the Sentinel promote the spare, as for maintenance."""
        before = self.primary_port()
        with self.client(self._ports[2]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        until(lambda: self.primary_port() != before, "the spare is promoted")

    def kill_primary(self) -> None:
        """Kill the primary with -9 and wait until the spare is promoted."""
        before = self.primary_port()
        with self.client(before) as primary:
            os.kill(int(primary.info("server")["process_id"]), signal.SIGKILL)
        until(lambda: self.primary_port() != before, "the spare is promoted")

    def mend(self) -> None:
        """Start a killed server again, as a replica."""
        port = self.spare_port()
        server = self._servers[port]
        server.stop()
        server.start()
        with self.client(port) as spare:
            spare.replicaof("127.0.0.1", str(self.primary_port()))


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

"""What Redis answers is waited for, or is one line about a setting, and shows no secret."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis._parsers.base import BaseParser

from tests.unit.conftest import SERVERS
from workload.errors import ExitCode, QueueUnavailable, UsageError, WorkloadError
from workload.local.redis_server import EmbeddedRedis
from workload.queue import Claimed, Queue, RetryPolicy, Turn, connect
from workload.queue.addresses import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"

PASSING = (
    "BUSY Redis is busy running a script.",
    "CLUSTERDOWN The cluster is down",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "ERR Error running script (call to f_0): @user_script:3: @user_script: 3: -OOM command not "
    "allowed when used memory > 'maxmemory'.",
)


def reply(line: str) -> Exception:
    """Return the exception that the client makes of an error reply."""
    error: Exception = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    return error


def call(error: Exception, *, failures: int = 1, seconds: float = 5.0) -> str:
    """Call a command that fails so often before it succeeds."""
    left = [error] * failures

    def command(_: bool) -> str:
        if left:
            raise left.pop()
        return "done"

    return RetryPolicy(seconds, lambda _: None).call(command)


@pytest.fixture(scope="module", params=sorted(SERVERS))
def any_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedRedis]:
    """Yield each of the servers in turn, which can be told what these tests are about."""
    directory = tmp_path_factory.mktemp("redis")
    with EmbeddedRedis(directory, SERVERS[request.param], renamed=()) as server:
        yield server


@pytest.mark.parametrize("line", PASSING)
def test_a_server_that_is_there_but_can_not_do_it_now_is_waited_for(line: str) -> None:
    assert call(reply(line)) == "done"
    with pytest.raises(QueueUnavailable):
        call(reply(line), seconds=0.0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("NOAUTH Authentication required.", "set REDIS_PASSWORD"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "set REDIS_PASSWORD"),
        ("NOPERM this user has no permissions to run the 'xread' command", "docs/settings.md"),
        (
            "ERR Error running script (call to f_0): @user_script:3: The user executing the script "
            "can't run this command or subcommand",
            "docs/settings.md",
        ),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "`datasets`"),
        (
            "ERR Error running script (call to f_0): @user_script:3: WRONGTYPE Operation against a "
            "key holding the wrong kind of value",
            "`datasets`",
        ),
        ("MOVED 3999 127.0.0.1:6381", "Cluster"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "Cluster"),
        ("ERR DB index is out of range", "no such database"),
        ("ERR unknown command 'EVALSHA', with args beginning with:", "'EVALSHA'"),
    ],
)
def test_a_wrong_setting_is_one_line_with_exit_code_2_at_once(line: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(reply(line), failures=9)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_no_error_of_redis_reaches_the_worker_as_one_that_counts_against_a_dataset() -> None:
    for error in (redis.ResponseError("ERR something new"), redis.DataError("odd"), reply("ERR x")):
        with pytest.raises(WorkloadError):
            call(error)


GREETING = b"%1\r\n+proto\r\n:3\r\n"


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"*0\r\n", b""),
        (b"+OK\r\n", b""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""),
        (GREETING, b"*0\r\n"),
        (GREETING, b"_\r\n"),
        (GREETING, b"-MOVED\r\n"),
        (GREETING, b"SSH-2.0-x\r\n"),
    ],
)
def test_what_is_no_redis_is_one_line_that_says_where_it_is(
    tmp_path: Path, greeting: bytes, answer: bytes
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        threading.Thread(target=pretend, args=(listener, greeting, answer), daemon=True).start()
        queue = Queue(connect(f"unix://{path}"), retry_policy=RetryPolicy(5.0))
        for verb in (queue.verify_server, queue.status, lambda: queue.push(["a"])):
            with pytest.raises(UsageError, match=re.escape(path)) as caught:
                verb()
            assert caught.value.exit_code == ExitCode.USAGE
            assert "name a Redis" in str(caught.value)
            assert "\n" not in str(caught.value)
        queue.close()


def pretend(listener: socket.socket, greeting: bytes, answer: bytes) -> None:
    """Answer HELLO with the greeting, CLIENT as a Redis does, and the rest all alike."""
    with suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer:
                while request := peer.recv(1 << 16):
                    reply = greeting if b"HELLO" in request else answer
                    known = b"+OK\r\n" * request.count(b"CLIENT")
                    peer.sendall(known or reply)


def test_a_server_without_memory_is_waited_for(any_server: EmbeddedRedis) -> None:
    with connect(any_server.url) as admin:
        admin.flushall()
        admin.config_set("maxmemory", "1")
        queue = Queue(
            connect(any_server.url),
            retry_policy=RetryPolicy(60.0, lambda _: admin.config_set("maxmemory", "0")),
        )
        try:
            assert queue.push(["datasets/training/2018-04-01.pkl"])[0] == 1
        finally:
            admin.config_set("maxmemory", "0")
            queue.close()


def test_a_failover_while_a_worker_waits_ends_nothing(any_server: EmbeddedRedis) -> None:
    queue = Queue(connect(any_server.url), retry_policy=RetryPolicy(60.0))
    with connect(any_server.url) as admin:
        admin.flushall()
        pushed = threading.Event()

        def wait() -> None:
            queue.wait_for_push(60.0)
            pushed.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not any(client["cmd"] == "blmove" for client in admin.client_list()):
            pass
        admin.replicaof("127.0.0.1", "1")
        admin.replicaof("NO", "ONE")
        admin.rpush("datasets", "datasets/training/2018-04-01.pkl")
        waiting.join()
    assert pushed.is_set()
    queue.close()


def test_somebody_elses_key_is_one_line(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    queue.client.set("datasets", "mine")
    for verb in (queue.status, queue.claim, lambda: queue.push(["datasets/training/x.pkl"])):
        with pytest.raises(UsageError, match="something else under a key that begins with"):
            verb()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://127.0.0.1/db1", "/db1': what follows the server is no number of a database"),
        ("rediss://127.0.0.1/0?ssl_cert_req=none", "ssl_cert_req"),
        ("rediss://127.0.0.1/0?ssl_cert_reqs=SOME", "SOME"),
        ("redis://127.0.0.1:port/0", "write redis://HOST:PORT/DB"),
    ],
)
def test_an_address_that_can_not_be_read_as_meant_is_one_line(url: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        connect(url)
    assert "\n" not in str(caught.value)


def test_a_socket_file_may_lie_anywhere() -> None:
    connect("unix:///tmp/a@b#c/redis.sock").close()


@settings(deadline=None)
@given(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"])),
    st.sampled_from(["redis", "rediss", "unix", "valkey", "redis+sentinel"]),
)
def test_no_part_of_a_password_is_shown_whatever_the_address(within: str, scheme: str) -> None:
    begin, end = "Xq7", "Kv9"
    password = f"{begin}{within}{end}"
    for address in (
        f"{scheme}://:{password}@host:6379/0",
        f"{scheme}://user:{quote(password, safe='')}@host/0",
        f"{scheme}://host:6379/0?password={quote(password, safe='')}",
        f"{scheme}://host/queue/0?sentinel_password={password}&sentinel_username=x",
        f"{scheme}://:{password.replace('@', '')}",
    ):
        told = masked(address)
        try:
            connect(address).close()
        except UsageError as error:
            told += str(error)
        assert begin not in told
        assert end not in told


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_server_that_may_delete_keys_is_refused_with_the_reason(
    any_server: EmbeddedRedis, policy: str
) -> None:
    queue = Queue(connect(any_server.url), retry_policy=RetryPolicy(0.0))
    queue.verify_server()
    queue.client.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(UsageError, match=f"{policy}.*delete.*set it to noeviction"):
            queue.verify_server()
    finally:
        queue.client.config_set("maxmemory-policy", "noeviction")
        queue.close()


def test_the_documented_permissions_are_enough(new_queue: Callable[..., Queue]) -> None:
    [rules] = re.findall(r"^ACL SETUSER workload (.+)$", SETTINGS.read_text("utf-8"), re.MULTILINE)
    admin = new_queue().client
    admin.execute_command("ACL", "SETUSER", "workload", "reset", *rules.split())  # type: ignore[no-untyped-call]
    path = admin.connection_pool.connection_kwargs["path"]
    queue = Queue(connect(f"unix://workload:PASSWORD@{path}"), retry_policy=RetryPolicy(0.0))
    queue.verify_server()
    queue.push(["datasets/training/2018-04-01.pkl", "datasets/training/2018-04-02.pkl"])
    claimed = queue.claim()
    assert isinstance(claimed, Claimed)
    assert isinstance(claimed.turn, Turn)
    assert queue.renew([(claimed.lease.dataset, claimed.lease.token)]) == set()
    record = {"dataset": claimed.lease.dataset, "checkpoint": "c", "date": "2018-04-01"}
    queue.complete(claimed.lease, None, "c", "2018-04-01", record)
    again = queue.claim()
    assert isinstance(again, Claimed)
    assert queue.fail(again.lease, "tried")[0] == "retry"
    assert queue.hand_back() == []
    assert queue.skip("datasets/training/2018-04-02.pkl", "left out")
    assert len(queue.commits()) == 1
    assert queue.unfinished() == []
    queue.wait_for_push(0.01)
    queue.wait_for_event(queue.claim().wait, 0.01)  # type: ignore[union-attr]
    queue.replace([], ledger="hash")
    assert queue.void_ledger() == "hash"
    queue.set_void_ledger(None)
    queue.close()
    admin.execute_command("ACL", "DELUSER", "workload")  # type: ignore[no-untyped-call]

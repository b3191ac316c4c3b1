"""Addresses of Sentinels: what they mean, what is wrong with them, and what follows a failover."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.support.redundant import SERVICE, RedundantRedis
from workload.errors import ExitCode, QueueUnavailable, UsageError
from workload.queue import Queue, RetryPolicy, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "datasets/training/2018-04-01.pkl"


@pytest.fixture(scope="module")
def redundant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedundantRedis]:
    with RedundantRedis(tmp_path_factory.mktemp("sentinel")) as running:
        yield running


def session(url: str, password: str | None = None, seconds: float = 0.0) -> Queue:
    return Queue(connect(url, password), retry_policy=RetryPolicy(seconds))


def settings(client: redis.Redis) -> dict[str, Any]:
    made: dict[str, Any] = client.connection_pool.connection_kwargs
    return made


def sentinels(client: redis.Redis) -> list[dict[str, Any]]:
    pool: Any = client.connection_pool
    return [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]


def test_an_address_names_sentinels_service_database_and_two_kinds_of_credentials() -> None:
    client = connect(
        "redis+sentinel://me:p%40w@one:7000,two,[::1]:7001/my%20queue/3"
        "?sentinel_username=watch&sentinel_password=s%26w&socket_timeout=4"
    )
    made = settings(client)
    assert (made["username"], made["password"], made["db"]) == ("me", "p@w", 3)
    assert made["socket_timeout"] == 4
    assert client.connection_pool.service_name == "my queue"  # type: ignore[attr-defined]
    named = [("one", 7000), ("two", 26379), ("::1", 7001)]
    assert [(each["host"], each["port"]) for each in sentinels(client)] == named
    assert {(each["username"], each["password"]) for each in sentinels(client)} == {
        ("watch", "s&w")
    }


@pytest.mark.parametrize(
    "url", ["redis://:old@host/0", "redis+sentinel://:old@host/queue", "redis://h?password=old"]
)
def test_redis_password_overrides_the_one_in_any_address(url: str) -> None:
    made = [settings(connect(url, given)) for given in (None, "new")]
    assert [each["password"] for each in made] == ["old", "new"]


def test_tls_is_for_servers_and_sentinels_alike() -> None:
    client = connect("rediss+sentinel://host/queue?ssl_ca_certs=/ca.pem&ssl_check_hostname=False")
    assert client.connection_pool.connection_class is redis.sentinel.SentinelManagedSSLConnection
    assert settings(client)["ssl_ca_certs"] == "/ca.pem"
    pool: Any = client.connection_pool
    [sentinel] = pool.sentinel_manager.sentinels
    assert sentinel.connection_pool.connection_class is redis.SSLConnection
    assert sentinels(client)[0]["ssl_ca_certs"] == "/ca.pem"


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("host:26379", "names no service"),
        ("host:26379/", "names no service"),
        ("/queue", "Sentinel 1 has no host"),
        ("one,,two/queue", "Sentinel 2 has no host"),
        ("one,two:x/queue", "Sentinel 2 has no port from 1 to 65535"),
        ("one:70000/queue", "Sentinel 1 has no port from 1 to 65535"),
        ("one:0/queue", "Sentinel 1 has no port above 0"),
        ("one/queue/db1", "no number of a database"),
        ("one/queue/1/2", "no number of a database"),
        ("one/queue?db=x", "'db'"),
        ("one/queue?timeouts=1", "unknown option 'timeouts'"),
        ("one/queue?sentinel_pass=1", "unknown option 'sentinel_pass'"),
        ("one/queue?is_master=0", "'is_master' is no option"),
    ],
)
def test_what_is_wrong_with_an_address_is_one_line_with_the_form(rest: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        connect(f"redis+sentinel://{rest}")
    assert told in str(caught.value)
    assert "write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_primary_that_sentinel_names_keeps_the_queue(redundant: RedundantRedis) -> None:
    queue = session(redundant.url, seconds=60.0)
    queue.verify_server()
    queue.push([DAY])
    with redundant.client(redundant.primary_port()) as primary:
        assert primary.lrange("datasets", 0, -1) == [DAY]
        primary.flushall()
    queue.close()


def test_the_first_sentinel_that_answers_is_believed(redundant: RedundantRedis) -> None:
    queue = session(redundant.url.replace("//", "//127.0.0.1:1,"))
    queue.verify_server()
    queue.close()


def test_sentinels_that_are_away_are_waited_for_as_a_server_is() -> None:
    waited: list[float] = []
    client = connect("redis+sentinel://127.0.0.1:1,127.0.0.1:2/queue")
    with pytest.raises(QueueUnavailable, match=r"Sentinel 127\.0\.0\.1:1 does not answer"):
        Queue(client, retry_policy=RetryPolicy(0.2, waited.append)).verify_server()
    assert waited


def test_a_service_that_no_sentinel_knows_is_a_wrong_setting(redundant: RedundantRedis) -> None:
    queue = session(redundant.url.replace(f"/{SERVICE}", "/other"), seconds=60.0)
    told = rf"Sentinel 127.0.0.1:\d+ watches no service 'other', but: {SERVICE}"
    with pytest.raises(UsageError, match=told) as caught:
        queue.verify_server()
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_server_among_the_sentinels_is_named(redundant: RedundantRedis) -> None:
    port = redundant.primary_port()
    queue = session(f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", seconds=60.0)
    with pytest.raises(UsageError, match=f"Sentinel 127.0.0.1:{port} did not answer as a Sentinel"):
        queue.verify_server()


def test_a_sentinel_named_as_a_server_is_told_the_form(redundant: RedundantRedis) -> None:
    plain = redundant.url.replace("+sentinel", "").partition(f"/{SERVICE}")[0]
    for url in (plain, f"{plain}/1"):
        with pytest.raises(UsageError, match=re.escape("redis+sentinel://HOST:PORT/SERVICE/DB")):
            session(url, seconds=60.0).verify_server()


def test_sentinels_have_a_password_of_their_own_which_is_not_shown(
    redundant: RedundantRedis,
) -> None:
    port = int(redundant.url.rpartition(":")[2].partition("/")[0])
    with redundant.client(port) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">right&one")
        try:
            session(f"{redundant.url}?sentinel_password=right%26one", seconds=60.0).verify_server()
            for option in ("", "?sentinel_password=WRONG", "?password=right%26one"):
                with pytest.raises(UsageError, match="sentinel_password") as caught:
                    session(redundant.url + option, "WRONG").verify_server()
                assert "WRONG" not in str(caught.value)
                assert "right" not in str(caught.value)
        finally:
            admin.execute_command("ACL", "SETUSER", "default", "nopass")


def test_a_wrong_password_of_the_primary_is_not_shown(redundant: RedundantRedis) -> None:
    url = redundant.url.replace("//", "//nobody:WRONG@")
    with pytest.raises(UsageError, match="set REDIS_PASSWORD") as caught:
        session(url, seconds=60.0).verify_server()
    assert "WRONG" not in str(caught.value)


def test_a_demoted_primary_is_left_although_its_connection_stays(
    any_redundant: RedundantRedis,
) -> None:
    """It refuses, as it has no replica any more; with only a Sentinel's word it learns later."""
    queue = session(any_redundant.url, seconds=60.0)
    queue.push([DAY])
    any_redundant.wait_until_redundant()
    old = any_redundant.primary_port()
    with any_redundant.client(old) as primary:
        primary.config_set("min-replicas-to-write", 1)
        any_redundant.fail_over()
        assert queue.push(["datasets/training/2018-04-02.pkl"])[0] == 2
        assert primary.llen("datasets") == 1
    queue.close()


def test_a_blocking_wait_goes_on_at_the_new_primary(any_redundant: RedundantRedis) -> None:
    queue, other = (session(any_redundant.url, seconds=60.0) for _ in range(2))
    pushed = threading.Event()

    def wait() -> None:
        queue.wait_for_push(60.0)
        pushed.set()

    waiting = threading.Thread(target=wait)
    with any_redundant.client(any_redundant.primary_port()) as primary:
        waiting.start()
        while not any(client["cmd"] == "blmove" for client in primary.client_list()):
            pass
    any_redundant.lose_primary()
    other.push([DAY])
    waiting.join()
    assert pushed.is_set()
    queue.close()
    other.close()

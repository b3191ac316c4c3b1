"""A Redis that loses data and goes on answering: everything, some keys, or all since a while."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from workload.engine import ledger
from workload.engine.ledger import read_ledger
from workload.engine.reconcile import rebuild
from workload.engine.settings import Settings
from workload.engine.signals import Termination
from workload.engine.worker import Worker
from workload.errors import ExitCode, QueueUnavailable, UsageError
from workload.local.redis_server import RENAMED, EmbeddedRedis
from workload.queue import Limits, Queue, RetryPolicy, connect
from workload.queue.connection import Connection
from workload.queue.keys import CLAIMS, COMMITS, EVENTS, KEYS, WAITING
from workload.share import durable
from workload.share.store import Share
from workload.trainers.protocol import Trained

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from workload.queue import Lease
    from workload.share.dataset_file import DatasetFile

    Loss = Callable[[], object]

DAYS = [f"datasets/training/2018-04-0{day}.csv" for day in range(1, 4)]


@dataclass(frozen=True)
class Day:
    date: dt.date
    rows: int


class Adds:
    """Learns how many bytes it has seen."""

    name, headline = "adds", ("bytes",)
    options: dict[str, str] = {}  # noqa: RUF012

    def prepare(self, file: DatasetFile) -> Day:
        assert file.date is not None
        return Day(file.date, len(file.content))

    def start(self) -> int:
        return 0

    def train(self, model: int, data: Day) -> Trained[int]:
        return Trained(model + data.rows, {"bytes": data.rows})

    def evaluate(self, model: int, data: Day) -> dict[str, object]:
        return {"bytes": model - data.rows}

    def save(self, model: int) -> Mapping[str, object]:
        return {"model": model}

    def load(self, saved: Mapping[str, Any]) -> int:
        return int(saved["model"])


class Keeper:
    """Renews nothing."""

    def hold(self, lease: Lease) -> None: ...
    def drop(self, lease: Lease) -> None: ...
    def raise_if_lost(self, lease: Lease) -> None: ...


@dataclass
class World:
    """A share, its Redis, and every ledger that was ever on it."""

    share: Share
    server: EmbeddedRedis
    stranger: Redis
    raw: Redis
    """The same, for bytes."""
    limits: Limits = field(default_factory=lambda: Limits(lease_seconds=300.0))
    ledgers: list[list[str]] = field(default_factory=list)
    calls: int = 0
    accidents: dict[int, Loss] = field(default_factory=dict)
    image: dict[str, bytes] = field(default_factory=dict)

    def work(self) -> ExitCode:
        """Work as one worker until it leaves."""
        settings = Settings(
            share=self.share.root,
            redis_url=self.server.url,
            first_dataset_wait_seconds=0.0,
            write_report=False,
        )
        queue = Queue(connect(self.server.url), self.limits, RetryPolicy(0.0))
        keeper: Any = Keeper()
        try:
            return Worker(settings, Adds(), queue, self.share, keeper, Termination()).run()
        finally:
            queue.close()

    def learned(self) -> list[str]:
        return [line["dataset"] for line in read_ledger(self.ledger)]

    @property
    def ledger(self) -> Path:
        return self.share.output / ledger.LEDGER_FILE

    def remember(self) -> None:
        """Keep a snapshot of Redis."""
        keys = [key for key in KEYS if self.stranger.exists(key)]
        self.image = {key: self.raw.dump(key) or b"" for key in keys}

    def before_command(self) -> None:
        self.calls += 1
        if not self.image and self.stranger.llen(COMMITS) == 1:
            self.remember()
        self.accidents.pop(self.calls, lambda: None)()

    def empty(self) -> None:
        """Start over with a new share and a new Redis, with all days pushed."""
        self.stranger.flushall()
        for path in self.share.output.rglob("*"):
            if path.is_file():
                path.unlink()
        self.ledgers.clear()
        self.image.clear()
        self.calls = 0
        self.stranger.rpush(WAITING, *DAYS)

    def go_back(self) -> None:
        """Be as old as the snapshot."""
        self.stranger.flushall()
        for key, content in self.image.items():
            self.raw.restore(key, 0, content)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Yield a server whose keys can be put back to what they were."""
    renamed = tuple(name for name in RENAMED if name != "RESTORE")
    with EmbeddedRedis(tmp_path_factory.mktemp("redis"), renamed=renamed) as running:
        yield running


@pytest.fixture
def world(
    tmp_path: Path, server: EmbeddedRedis, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    share = Share(tmp_path, visibility_seconds=0.0)
    share.probe_writable()
    for number, name in enumerate(DAYS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (number + 1))
    raw = Redis.from_url(server.url)
    made = World(share, server, client, raw)
    rename, execute = durable.rename, Connection.execute

    def counted(self: Connection, *words: str | float) -> Any:
        made.before_command()
        return execute(self, *words)

    monkeypatch.setattr(Connection, "execute", counted)

    def watched(source: Path, target: Path) -> None:
        rename(source, target)
        if target.name == ledger.LEDGER_FILE:
            made.ledgers.append([line["checkpoint"] for line in read_ledger(target)])

    monkeypatch.setattr(durable, "rename", watched)
    yield made
    raw.close()


def assert_one_chain(world: World, where: str) -> None:
    """Check that no ledger took back what an earlier one proved, and none holds a day twice."""
    for earlier, later in zip(world.ledgers, world.ledgers[1:], strict=False):
        assert later[: len(earlier)] == earlier, where
    lines = read_ledger(world.ledger)
    heads = [None, *(line["checkpoint"] for line in lines)]
    assert [line["base"] for line in lines] == heads[: len(lines)], where
    assert len(set(world.learned())) == len(lines), where


LOSSES = ["all", "all since the first commit", *(key for key in KEYS if key != EVENTS)]


@pytest.mark.parametrize("loss", LOSSES)
def test_chain_stays_one_whatever_redis_loses_before_whichever_command(
    world: World, loss: str
) -> None:
    """And what is missing at the end is said: exit code 3, or the whole queue is gone."""
    if loss == CLAIMS:  # only the end of a lease shows that
        world.limits = Limits(lease_seconds=0.3)
    world.empty()
    assert world.work() == ExitCode.DONE
    quiet, whole = world.calls, read_ledger(world.ledger)
    for call in range(1, quiet + 1):
        where = f"{loss} lost before command {call} of {quiet}"
        losses: dict[str, Loss] = {
            "all": world.stranger.flushall,
            "all since the first commit": world.go_back,
        }
        world.empty()
        world.accidents = {call: losses.get(loss, lambda: world.stranger.delete(loss))}
        try:
            code = world.work()
        except QueueUnavailable:
            assert not read_ledger(world.ledger), where
            assert not world.stranger.exists(WAITING, COMMITS), where
            code = ExitCode.FAILED
        assert not world.accidents, where
        if code == ExitCode.DONE and loss != WAITING:
            assert world.learned() == DAYS, where
        assert_one_chain(world, where)
        world.stranger.delete(WAITING)
        Queue(world.stranger).push(DAYS)
        try:
            world.work()
        except UsageError:  # a checkpoint was published and is in no ledger
            rebuild(Queue(world.stranger), world.share, Adds())
            world.work()
        assert_one_chain(world, where)
        assert world.learned() == DAYS, where
        assert read_ledger(world.ledger)[-1]["checkpoint"] == whole[-1]["checkpoint"], where

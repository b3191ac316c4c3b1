"""Fuzz: whatever comes from outside is read, or refused in one line; nothing else happens.

`make fuzz` gives it minutes, `test_fuzz.py` seconds. Each target runs in a process of its own, with
its memory limited and every start of a program, import and write to a file forbidden by an audit
hook. Round n has the seed `--seed` + n, and `--target NAME --seed N --seconds 0` repeats one.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import hostile
from workload.engine.chain import ChainState, read, train
from workload.engine.checkpoints import load
from workload.errors import DatasetRefused, UsageError, WorkloadError
from workload.fraud.trainer import FraudTrainer
from workload.fraud.transactions import read_day
from workload.queue import Lease, Queue, RetryPolicy, connect
from workload.queue.addresses import masked
from workload.share.compression import COMPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY_BYTES = 1 << 30
"""What a target may take on top of what it has when it begins; its inputs are a few kB."""

SECONDS_PER_DAY = 86_400
SECONDS = 20
"""Longest time for one input."""

LONGEST_LINE = 600
"""Characters of a message."""

_FORBIDDEN = (
    *("exec", "compile", "import", "marshal.loads", "pickle.find_class", "code.__new__"),
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"),
    *("subprocess.Popen", "ctypes.dlopen", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"),
)


class Wrong(Exception):
    """What must never happen did."""


class _Stopped(BaseException):
    """Ends what must not happen; no handler of the code under test takes it."""


_watching = False
_seen: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in _FORBIDDEN or writes:
        _seen.append(f"{event}{arguments!r:.200}")
        raise _Stopped


@contextmanager
def watched() -> Iterator[None]:
    """Let nothing be executed, loaded or written, and nothing take for ever, in the context."""
    global _watching  # noqa: PLW0603 - an audit hook can't be taken out

    def late(_number: int, _frame: object) -> None:
        _seen.append(f"took longer than {SECONDS} s")
        raise _Stopped

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    _watching = True
    try:
        yield
    except MemoryError as error:
        raise Wrong(f"took more than {MEMORY_BYTES} bytes of memory") from error
    except _Stopped:
        pass
    finally:
        _watching = False
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        happened = _seen[:]
        _seen.clear()
    if happened:
        raise Wrong("; ".join(happened))


def require(holds: bool, what: str) -> None:
    """Raise Wrong unless a condition holds."""
    if not holds:
        raise Wrong(what)


_DEFECTS = tuple(" ".join(words) for words in (("a", "defect"), ("Traceback", "(most")))
"""Put together here, since Hypothesis sends the texts that it finds in this file."""


def one_line(error: Exception) -> None:
    """Check the message of a refusal."""
    text = str(error)
    require(0 < len(text) <= LONGEST_LINE, text)
    require(not any(word in text for word in ("\n", *_DEFECTS)), text)


def read_dataset(directory: Path, name: str, content: bytes) -> None:
    """Read a file as a worker does."""
    path = directory / name
    path.write_bytes(content)
    try:
        with watched():
            day = read_day(path)
    except DatasetRefused as error:
        one_line(error)
    else:
        require(0 <= day.second.min() <= day.second.max() < SECONDS_PER_DAY, "seconds of a day")
        require(bool((day.amount >= 0).all()), "amounts from 0")
    finally:
        path.unlink()


def datasets(directory: Path) -> Callable[..., None]:
    """Return the test of files that may be days."""
    for kind in hostile.KINDS:  # all that is imported at first use
        for compression in ("", *COMPRESSIONS):
            path = directory / f"2018-04-01{kind}{compression}"
            path.write_bytes(hostile.compressed(hostile.encoded(hostile.day(), kind), compression))
            read_day(path)

    @given(hostile.files(("", *COMPRESSIONS)))
    def test(file: tuple[str, bytes]) -> None:
        read_dataset(directory, *file)

    return test


def checkpoints(directory: Path) -> Callable[..., None]:
    """Return the test of files that may be checkpoints."""
    trainer = FraudTrainer()
    path = directory / "2018-04-01.pkl"
    path.write_bytes(hostile.encoded(hostile.day(), ".pkl"))
    _, valid = train(trainer, ChainState.start(trainer), read(trainer, path))
    ChainState.from_bytes(trainer, valid)

    @given(hostile.checkpoints(valid, load(valid, "checkpoint")))
    def test(content: bytes) -> None:
        try:
            with watched():
                ChainState.from_bytes(trainer, content)
        except (ValueError, UsageError) as error:
            one_line(error)

    return test


def addresses(_directory: Path) -> Callable[..., None]:
    """Return the test of what may be an address of Redis."""
    for url in (
        *("redis://host", "rediss://host", "unix:///socket"),
        *("redis+sentinel://host/service", "rediss+sentinel://host/service"),
    ):
        connect(url).close()

    @given(hostile.addresses())
    def test(url: str) -> None:
        told = ""
        try:
            with watched():
                told = masked(url)
                connect(url).close()
        except WorkloadError as error:
            one_line(error)
            told += str(error)
        require(hostile.SECRET not in told, told)

    return test


def replies(directory: Path) -> Callable[..., None]:
    """Return the test of a server that answers each request with anything."""
    path = directory / "redis.sock"
    url = f"unix://{path}?socket_timeout=0.02"  # an answer that does not end is waited for
    greetings: list[bytes] = []
    answers: list[bytes] = []
    threading.Thread(target=_serve, args=(path, greetings, answers), daemon=True).start()
    while not path.exists():
        time.sleep(0.01)

    def ask(call: int) -> None:
        queue = Queue(connect(url), retry_policy=RetryPolicy(0.0), session="session")
        lease = Lease("datasets/training/2018-04-01.pkl", "token", 1, 0, 0)
        try:
            (
                queue.status,
                queue.claim,
                queue.commits,
                queue.hand_back,
                queue.unfinished,
                queue.verify_server,
                lambda: queue.push([lease.dataset]),
                queue.retry,
                lambda: queue.renew([(lease.dataset, lease.token)]),
                lambda: queue.fail(lease, "reason"),
                lambda: queue.complete(lease, None, "checkpoint", "2018-04-01", {}),
                lambda: queue.wait_for_push(0.01),
            )[call]()
        except WorkloadError as error:
            one_line(error)
        finally:
            queue.close()

    for call in range(12):
        greetings[:] = []
        answers[:] = [b"-LOADING\r\n"] * 4
        with suppress(Exception):
            ask(call)

    greeted: st.SearchStrategy[list[bytes]] = st.one_of(
        st.just([]), st.lists(hostile.REPLIES, min_size=1, max_size=1)
    )

    @given(st.integers(0, 11), greeted, st.lists(hostile.REPLIES, max_size=6))
    def test(call: int, hello: list[bytes], sent: list[bytes]) -> None:
        greetings[:], answers[:] = hello, sent
        with watched():
            ask(call)

    return test


def _serve(path: Path, greetings: list[bytes], answers: list[bytes]) -> None:
    """Greet, as a Redis does or otherwise, then give answers; without more of them, hang up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        while True:
            peer, _ = listener.accept()
            with peer, suppress(OSError):
                while request := peer.recv(1 << 16):
                    if b"HELLO" in request:
                        peer.sendall(greetings[0] if greetings else b"%1\r\n+proto\r\n:3\r\n")
                    elif b"CLIENT" in request:
                        peer.sendall(b"+OK\r\n" * request.count(b"CLIENT"))
                    elif answers:
                        peer.sendall(answers.pop(0))
                    else:
                        break


TARGETS: dict[str, Callable[[Path], Callable[..., None]]] = {
    "datasets": datasets,
    "checkpoints": checkpoints,
    "addresses": addresses,
    "replies": replies,
}


def fuzz(name: str, first: int, seconds: float, examples: int) -> int:
    """Run rounds of one target until the time is up; return the exit code."""
    sys.addaudithook(_audit)
    until, rounds = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        test = TARGETS[name](Path(directory))
        limit = _size_bytes() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        test = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )(test)
        while rounds == 0 or time.monotonic() < until:
            try:
                seed(first + rounds)(test)()
            except BaseException:
                print(
                    f"FAILED {name}: repeat it with --target {name} --seed {first + rounds} "
                    f"--examples {examples} --seconds 0",
                    flush=True,
                )
                raise
            rounds += 1
    print(f"{name}: {rounds * examples} inputs, seeds {first} to {first + rounds - 1}")
    return 0


def _size_bytes() -> int:
    """Return the size of this process's address space."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str] | None = None) -> int:
    """Run the targets one after another, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=TARGETS, help="one only, in this process")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--examples", type=int, default=200, help="inputs a round")
    options = parser.parse_args(arguments)
    if options.target:
        return fuzz(options.target, options.seed, options.seconds, options.examples)
    failed = 0
    for name in TARGETS:
        words = ["--target", name, "--seed", str(options.seed), "--examples", str(options.examples)]
        words += ["--seconds", str(options.seconds / len(TARGETS))]
        command = [sys.executable, "-m", "proofs.fuzz", *words]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

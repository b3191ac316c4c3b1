"""What the operator's scripts do, on a share and a queue of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.cluster.results import RECEIPT
from tests.support.fleet import until
from tests.support.stand_ins import JOB, OUTPUTS, ROOT, TOKEN, Cluster, job
from workload.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from workload.local.redis_server import EmbeddedRedis

SCRIPTS = sorted(
    path.stem for path in (ROOT / "scripts").glob("*.sh") if "cluster.bash" in path.read_text()
)
DAYS = [f"datasets/training/2018-04-0{day}.pkl" for day in (1, 2, 3)]
BIG = bytes(range(256)) * 12_000  # 3 MB: many chunks
COMPLETE = [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T03:00:00Z"}]


@pytest.fixture
def cluster(tmp_path: Path, server: EmbeddedRedis, client: redis.Redis) -> Cluster:
    return Cluster(tmp_path / "bin", tmp_path / "share", server.url)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    for name in ("training", "testing"):
        (directory / name).mkdir(parents=True)
    for day in DAYS:
        (directory / day.removeprefix("datasets/")).write_bytes(BIG + day.encode())
    (directory / "testing/test_dataset.pkl").write_bytes(b"test")
    return directory


@pytest.fixture
def queued(cluster: Cluster, data: Path) -> Cluster:
    assert cluster.run("transfer-datasets", data).returncode == 0
    assert cluster.run("queue-jobs").returncode == 0
    return cluster


def shared(cluster: Cluster) -> dict[str, bytes]:
    """Return every file of the share, hidden ones too."""
    return {
        p.relative_to(cluster.share).as_posix(): p.read_bytes()
        for p in cluster.share.rglob("*")
        if p.is_file()
    }


def assert_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert words in done.stderr
    assert re.fullmatch(r"[a-z-]+: [^\n]+\n", done.stderr), done.stderr


# Every script


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_an_example_and_needs_nothing(cluster: Cluster, script: str) -> None:
    done = cluster.run(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Example: scripts/{script}.sh" in done.stdout
    assert not (cluster.path / "pulumi-calls").exists()


def test_all_scripts_of_the_journey_are_there() -> None:
    assert SCRIPTS == [
        "fetch-results",
        "logs",
        "queue-jobs",
        "status",
        "train",
        "transfer-datasets",
        "workload",
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_option_is_one_line_and_exit_2(cluster: Cluster, script: str) -> None:
    done = cluster.run(script, "--nonsense")
    assert done.returncode == 2
    assert_one_line(done, "--nonsense: no such option")


@pytest.mark.parametrize("output", ["namespace", "job_name", "estimated_hourly_usd"])
def test_a_stack_without_an_output_is_one_line(cluster: Cluster, output: str) -> None:
    del cluster.outputs[output]
    done = cluster.run("queue-jobs")
    assert done.returncode == 1
    assert_one_line(done, f"the stack has no output {output}: run pulumi up")


def test_the_kubeconfig_is_private_and_used_for_every_call(cluster: Cluster) -> None:
    cluster.run("workload", "--stack", "prod", "--", "--version")
    calls = cluster.calls()
    assert {(text, mode) for _, text, mode, _ in calls} == {(f"token: {TOKEN}", "0o600")}
    assert not any(Path(config).exists() for *_, config in calls)
    assert all(call[-2:] == ["--stack", "prod"] for call in cluster.calls("pulumi-calls"))


def test_a_local_stack_uses_the_operators_kubeconfig_and_the_stacks_context(
    cluster: Cluster,
) -> None:
    del cluster.outputs["kubeconfig"]
    cluster.outputs["kube_context"] = "kind-batch"
    assert cluster.run("workload", "--", "--version").returncode == 0
    for words, _, _, config in cluster.calls():
        assert config is None
        assert words[2:4] == ["--context", "kind-batch"]


# workload.sh


def test_a_command_runs_in_a_pod_of_the_template_and_its_exit_code_is_passed_on(
    cluster: Cluster,
) -> None:
    done = cluster.run("workload", "queue", "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "waiting     0" in done.stdout
    wrong = cluster.run("workload", "queue", "skip", "nothing.pkl")
    assert wrong.returncode == 2
    assert_one_line(wrong, "nothing.pkl: neither waiting nor in progress")
    names = [pod["metadata"]["name"] for pod in cluster.made()]
    assert len(set(names)) == len(names) == 2
    for pod in cluster.made():
        assert pod["metadata"]["labels"] == {"app": "workload-command"}
        assert pod["spec"]["activeDeadlineSeconds"] == 86400
        [container] = pod["spec"]["containers"]
        assert (container["command"], "args" in container) == (["sleep", "86400"], False)


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        ({"reason": "ImagePullBackOff", "message": "not found"}, "image w@1 can't be pulled"),
        ({"reason": "CreateContainerConfigError", "message": 'secret "redis" not found'}, "redis"),
    ],
)
def test_a_pod_that_can_not_start_is_one_line_and_is_removed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, waiting: dict[str, str], words: str
) -> None:
    cluster.pod_status = {
        "phase": "Pending",
        "containerStatuses": [{"image": "w@1", "state": {"waiting": waiting}}],
    }
    done = cluster.run("workload", "queue", "status")
    assert done.returncode == 1
    assert_one_line(done, words)


@pytest.mark.parametrize(
    ("number", "kill"),
    [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.killpg), (signal.SIGTERM, os.kill)],
    ids=["Ctrl-C", "terminated", "only the script terminated"],
)
def test_an_interrupted_command_leaves_no_pod_and_no_kubeconfig(
    cluster: Cluster, number: signal.Signals, kill: Callable[[int, int], None]
) -> None:
    with subprocess.Popen(
        [ROOT / "scripts/workload.sh", "work"],
        env=cluster.set_up(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert "Worker with sessionID" in process.stdout.readline()
        assert cluster.left() != []
        assert len(cluster.running()) == 1
        kill(process.pid, number)
        process.wait(60)
    assert process.returncode != 0
    until(lambda: cluster.left() == [], "everything is removed")
    until(lambda: not cluster.running(), "the command has ended")


HOSTILE = "\x1b]52;c;cm0=\x07\x1b[2J\r\u202e\u200b\x9b31m done"
"""Writes to the clipboard, empties the screen, goes back, turns the line round, colours it."""

SHOWN = r"\x1b]52;c;cm0=\x07\x1b[2J\r\u202e\u200b\x9b31m done"


STATE: dict[str, Any] = {
    "waiting": 0,
    "committed": 0,
    "processing": [],
    "dead": [],
    "head": {"dataset": None},
    "halted": None,
}


def package(cluster: Cluster, program: str) -> str:
    """Make a program that pods run in place of the workload; return its path."""
    ours = cluster.path / "package/workload"
    ours.mkdir(parents=True)
    (ours / "__init__.py").touch()
    (ours / "__main__.py").write_text(f"import sys\n{program}\n")
    return str(ours.parent)


@pytest.fixture
def hostile(cluster: Cluster) -> Cluster:
    """Return a cluster with a pod that prints what it likes, to both streams."""
    line = HOSTILE.encode() + b"\ttab \xff\n"
    cluster.package = package(
        cluster,
        f"for stream in (sys.stdout, sys.stderr): stream.buffer.write({line!r})\nsys.exit(3)",
    )
    return cluster


def test_what_a_pod_prints_reaches_a_terminal_with_control_characters_as_escapes(
    hostile: Cluster,
) -> None:
    """Standard output is a terminal; standard error is always for people."""
    master, terminal = os.openpty()
    with subprocess.Popen(
        [ROOT / "scripts/workload.sh", "queue", "status"],
        env=hostile.set_up(),
        cwd=hostile.path,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(terminal)
        with os.fdopen(master, "rb") as stream:
            shown = stream.readline()
            assert process.stderr is not None
            errors = process.stderr.read()
            assert process.wait(60) == 3
    assert shown.decode() == f"{SHOWN}\ttab \N{REPLACEMENT CHARACTER}\r\n"
    assert errors == f"{SHOWN}\ttab \N{REPLACEMENT CHARACTER}\n"


def test_what_a_pod_prints_to_a_file_is_left_as_it_is(hostile: Cluster) -> None:
    with (hostile.path / "out").open("wb") as stream:
        subprocess.run(
            [ROOT / "scripts/workload.sh", "share", "list"],
            env=hostile.set_up(),
            cwd=hostile.path,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    assert (hostile.path / "out").read_bytes() == HOSTILE.encode() + b"\ttab \xff\n"


# transfer-datasets.sh


def test_datasets_arrive_and_a_second_run_copies_nothing(cluster: Cluster, data: Path) -> None:
    done = cluster.run("transfer-datasets", data)
    assert done.returncode == 0, done.stderr
    assert "Transferred 4 files, 0 were there" in done.stdout
    assert "\r" not in done.stdout
    expected = {
        f"datasets/{p.relative_to(data).as_posix()}": p.read_bytes() for p in data.rglob("*.pkl")
    }
    assert shared(cluster) == expected
    again = cluster.run("transfer-datasets", data)
    assert "Transferred 0 files, 4 were there" in again.stdout
    assert cluster.passed()[-1] < 1000, "only the list goes to the share"


def test_a_broken_connection_is_resumed_within_the_file(cluster: Cluster, data: Path) -> None:
    cluster.breaks = [0, 1_000_000, 500_000]
    done = cluster.run("transfer-datasets", data)
    assert done.returncode == 0, done.stderr
    assert shared(cluster)[DAYS[0]] == (data / "training/2018-04-01.pkl").read_bytes()
    assert len(cluster.passed()) == 4
    assert sum(cluster.passed()) < 3 * len(BIG) + 4 * 1000, "no byte of a file goes twice"


def test_a_transfer_that_gave_up_goes_on_where_it_was(cluster: Cluster, data: Path) -> None:
    cluster.breaks = [400_000] * 5
    done = cluster.run("transfer-datasets", data)
    assert done.returncode == 1
    assert_one_line(done, "lost connection to pod; run this again to resume")
    [partial] = [name for name in shared(cluster) if name.endswith(".partial")]
    assert 2_000_000 - 5 * 1000 < len(shared(cluster)[partial]) < 2_000_000
    assert DAYS[0] not in shared(cluster)
    cluster.breaks = []
    assert cluster.run("transfer-datasets", data).returncode == 0
    assert not [name for name in shared(cluster) if name.endswith(".partial")]


def test_a_corrupted_partial_file_is_sent_again(cluster: Cluster, data: Path) -> None:
    cluster.breaks = [400_000] * 5
    cluster.run("transfer-datasets", data)
    [partial] = cluster.share.rglob(".*.partial")
    partial.write_bytes(b"x" * partial.stat().st_size)
    cluster.breaks = []
    done = cluster.run("transfer-datasets", data)
    assert done.returncode == 0, done.stderr
    assert "what came has another hash; send it again; resuming" in done.stdout
    assert shared(cluster)[DAYS[0]] == (data / "training/2018-04-01.pkl").read_bytes()


def test_a_dataset_that_is_there_with_another_content_is_not_replaced(
    cluster: Cluster, data: Path
) -> None:
    cluster.run("transfer-datasets", data)
    (data / "training/2018-04-02.pkl").write_bytes(b"other")
    done = cluster.run("transfer-datasets", data)
    assert done.returncode == 2
    assert_one_line(done, "is not replaced")
    assert shared(cluster)[DAYS[1]] != b"other"


def test_a_directory_without_datasets_is_one_line_before_anything_starts(
    cluster: Cluster,
) -> None:
    done = cluster.run("transfer-datasets", "nowhere")
    assert done.returncode == 2
    assert_one_line(done, "nowhere: no datasets; expected nowhere/training/YYYY-MM-DD")
    assert not (cluster.path / "pulumi-calls").exists()


# queue-jobs.sh


def test_datasets_are_queued_in_date_order_once(
    cluster: Cluster, data: Path, client: redis.Redis
) -> None:
    cluster.run("transfer-datasets", data)
    first, second = cluster.run("queue-jobs"), cluster.run("queue-jobs")
    assert first.stdout.splitlines() == [*DAYS, "Queue length: 3"]
    assert second.stdout.splitlines() == [
        *(f"{day} (not pushed: already queued)" for day in DAYS),
        "Queue length: 3",
    ]
    assert client.lrange("datasets", 0, -1) == DAYS


def test_an_empty_share_is_one_line(cluster: Cluster) -> None:
    done = cluster.run("queue-jobs")
    assert done.returncode == 2
    assert_one_line(done, "no datasets; copy them there first")


# status.sh


def test_status_tells_queue_workers_and_cost(queued: Cluster) -> None:
    queued.job = [job(startTime="2026-01-01T01:00:00Z", conditions=COMPLETE)]
    queued.pods = [{"metadata": {"name": "w-1"}, "status": {"phase": "Succeeded"}}]
    done = queued.run("status")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["job"] == f"{JOB} (complete)"
    assert lines["workers"] == "1 succeeded"
    assert lines["queue"] == "0 of 3 datasets learned (0 %), 0 in progress, 3 waiting"
    assert "workers at most 0.50; an estimate" in lines["cost"]
    assert "WRONG" not in lines


def waiting_pod(reason: str) -> dict[str, Any]:
    container = {"image": "w@1", "state": {"waiting": {"reason": reason}}}
    status = {"phase": "Pending", "containerStatuses": [container]}
    return {"metadata": {"name": "w-1"}, "status": status}


def test_status_tells_what_is_wrong_and_ends_with_3(queued: Cluster, client: redis.Redis) -> None:
    queue = Queue(client)
    queue.skip(DAYS[0], "broken\x1b[31m")
    queued.pods = [waiting_pod("CrashLoopBackOff")]
    done = queued.run("status")
    assert done.returncode == 3
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong == [
        "WRONG      pod w-1 keeps crashing: CrashLoopBackOff",
        rf"WRONG      {DAYS[0]} was skipped: broken\x1b[31m",
    ]
    left = "0 of 3 datasets learned (0 %), 0 in progress, 2 waiting, 1 left out"
    assert f"queue      {left}" in done.stdout.splitlines()


def test_status_does_not_wait_for_a_pod_that_could_not_start_either(queued: Cluster) -> None:
    made = len(queued.made())
    queued.pods = [waiting_pod("ErrImagePull")]
    done = queued.run("status")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines()[-2:] == [
        "WRONG      pod w-1: image w@1 can't be pulled (ErrImagePull)",
        "queue      not queried: a pod for that could not start either",
    ]
    assert len(queued.made()) == made


def test_status_tells_why_an_update_broke_off_before_there_was_a_job(queued: Cluster) -> None:
    queued.job = []
    queued.claims = [{"metadata": {"name": "fileserver-claim"}, "status": {"phase": "Pending"}}]
    done = queued.run("status")
    assert (done.returncode, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"job        {JOB} (missing)"
    assert "WRONG      claim fileserver-claim can't be bound: it is Pending" in lines
    assert any(line.endswith("run pulumi up") for line in lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff",
        b"[" * 100_000,
        json.dumps({**STATE, "waiting": HOSTILE}).encode(),
        json.dumps({**STATE, "dead": [HOSTILE]}).encode(),
        json.dumps({**STATE, "halted": {"dataset": "x"}}).encode(),
    ],
)
def test_an_answer_of_a_pod_that_makes_no_sense_is_one_line(
    cluster: Cluster, answer: bytes
) -> None:
    cluster.package = package(cluster, f"sys.stdout.buffer.write({answer!r})")
    done = cluster.run("status")
    assert done.returncode == 1
    assert_one_line(done, "no answer from the queue: scripts/workload.sh queue status shows why")


def test_status_shows_nothing_of_a_pod_that_a_terminal_acts_on(cluster: Cluster) -> None:
    letters = [{"dataset": HOSTILE, "kind": HOSTILE, "reason": HOSTILE}]
    state = {**STATE, "dead": letters, "head": {"dataset": HOSTILE}, "halted": letters[0]}
    cluster.package = package(cluster, f"print({json.dumps(state)!r})")
    cluster.pods = [{"metadata": {"name": "w-1"}, "status": {"phase": HOSTILE}}]
    done = cluster.run("status")
    assert done.returncode == 3
    assert done.stdout.replace("\n", "").isprintable()


# logs.sh


def test_logs_of_all_pods_are_shown_those_that_ended_too(cluster: Cluster) -> None:
    cluster.job = [job(), job(conditions=COMPLETE)]
    cluster.pods = [
        {"metadata": {"name": name}, "status": {"phase": phase}}
        for name, phase in (("w-1", "Failed"), ("w-2", "Running"), ("w-3", "Pending"))
    ]
    done = cluster.run("logs")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "w-1: Processing dataset: w-1",
        "w-2: Processing dataset: w-2",
    ]


# fetch-results.sh


@pytest.fixture
def results(cluster: Cluster) -> dict[str, bytes]:
    output = cluster.share / "output"
    (output / ".checkpoints").mkdir(parents=True)
    files = {f"model_cpt_2018-04-0{day}.pkl": BIG + bytes([day]) for day in (1, 2)}
    files["report.html"] = b"<html>"
    lines: list[dict[str, Any]] = [
        {"checkpoint_file": name, "checkpoint": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name.startswith("model")
    ]
    files["ledger.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    for name, content in files.items():
        (output / name).write_bytes(content)
    (output / "model_cpt_2018-04-03.pkl").write_bytes(b"published, not yet in the ledger")
    return files


def fetched(cluster: Cluster) -> dict[str, bytes]:
    found = (cluster.path / "results").iterdir()
    return {p.name: p.read_bytes() for p in found if p.name != RECEIPT}


def test_results_are_fetched_once(cluster: Cluster, results: dict[str, bytes]) -> None:
    done = cluster.run("fetch-results")
    assert done.returncode == 0, done.stderr
    assert fetched(cluster) == results
    assert done.stdout.splitlines()[-1] == "Report: results/report.html"
    again = cluster.run("fetch-results")
    assert "Fetched 0 files to results, 3 were there" in again.stdout


def test_a_fetch_that_breaks_is_resumed(cluster: Cluster, results: dict[str, bytes]) -> None:
    cluster.breaks = [0, 1_000_000, 1_000_000]
    done = cluster.run("fetch-results")
    assert done.returncode == 0, done.stderr
    assert fetched(cluster) == results
    assert len(cluster.passed()) == 4
    size = sum(map(len, results.values()))
    assert sum(cluster.passed()) < size + 4 * 1000, "no byte of a file goes twice"


def test_a_checkpoint_that_is_not_the_ledgers_is_refused(
    cluster: Cluster, results: dict[str, bytes]
) -> None:
    (cluster.share / "output/model_cpt_2018-04-02.pkl").write_bytes(b"tampered")
    done = cluster.run("fetch-results")
    assert done.returncode == 1
    assert "WRONG output/model_cpt_2018-04-02.pkl: its hash is not the ledger's" in done.stdout
    assert "model_cpt_2018-04-02.pkl" not in fetched(cluster)
    assert "model_cpt_2018-04-01.pkl" in fetched(cluster)


def test_results_of_another_run_are_not_overwritten(
    cluster: Cluster, results: dict[str, bytes]
) -> None:
    (cluster.path / "results").mkdir()
    (cluster.path / "results/model_cpt_2018-04-01.pkl").write_bytes(b"mine")
    done = cluster.run("fetch-results")
    assert done.returncode == 1
    assert "has another content; fetch into another directory" in done.stdout
    assert fetched(cluster)["model_cpt_2018-04-01.pkl"] == b"mine"


# train.sh


def test_the_journey_goes_from_the_price_to_the_report(
    cluster: Cluster, data: Path, results: dict[str, bytes], client: redis.Redis
) -> None:
    cluster.job = [job(), job(), job(conditions=COMPLETE)]
    client.rpush("datasets:unrelated", "x")
    done = cluster.run("train", "--yes", "--destroy", "--run", "2", data)
    # The stand-in's Job learns nothing, so what was queued still waits.
    assert done.returncode == 1
    assert "3 datasets wait: give it another run" in done.stderr
    verbs = [call[2] for call in cluster.calls("pulumi-calls")]
    assert verbs[:2] == ["config", "preview"]
    assert "destroy" not in verbs
    for day in DAYS:
        Queue(client).skip(day, "for the test")
    done = cluster.run("train", "--yes", "--destroy", data)
    assert done.returncode == 0, done.stderr
    assert "Transferred 0 files, 4 were there" in done.stdout
    assert "0 of 3 datasets" in done.stdout
    assert "Report: results/report.html" in done.stdout
    assert fetched(cluster) == results
    assert cluster.calls("pulumi-calls")[-1][2:] == ["destroy", "--yes"]


@pytest.mark.parametrize(("arguments", "early"), [([], 0), (["--run", "2"], 2)])
def test_a_later_run_of_the_job_starts_when_its_datasets_are_queued(
    cluster: Cluster, data: Path, arguments: list[str], early: int
) -> None:
    cluster.job = [job(conditions=COMPLETE)]
    cluster.run("train", "--yes", *arguments, data)
    calls = [call[2:5] for call in cluster.calls("pulumi-calls")]
    before = calls[: next(n for n, call in enumerate(calls) if call[0] == "up")]
    # Each script that works in the cluster asks for the outputs once.
    assert before.count(["stack", "output", "--json"]) == early


def test_a_failed_job_is_explained_its_results_fetched_and_nothing_destroyed(
    cluster: Cluster, data: Path, results: dict[str, bytes]
) -> None:
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}
    cluster.job = [job(conditions=[failed])]
    done = cluster.run("train", "--yes", "--destroy", data)
    assert done.returncode == 3
    assert f"WRONG Job {JOB} failed: DeadlineExceeded: late" in done.stdout
    assert fetched(cluster) == results
    assert "destroy" not in [call[2] for call in cluster.calls("pulumi-calls")]


def test_without_a_terminal_or_yes_nothing_is_changed(cluster: Cluster, data: Path) -> None:
    done = cluster.run("train", data)
    assert done.returncode == 2
    assert_one_line(done, "not a terminal: pass --yes to skip confirmation")
    assert not (cluster.path / "pulumi-calls").exists()


def test_the_outputs_that_scripts_read_are_the_stacks() -> None:
    text = (ROOT / "__main__.py").read_text()
    for name in OUTPUTS.keys() - {"kubeconfig"}:
        assert f'pulumi.export("{name}"' in text

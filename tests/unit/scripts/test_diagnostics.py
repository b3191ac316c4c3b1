"""What the scripts say of a cluster: one line for each thing that is wrong, and the cost so far."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from scripts.cluster import cost, diagnostics, kube, pods
from scripts.cluster.console import Failure
from scripts.cluster.pods import manifest
from tests.support.stand_ins import TEMPLATE, job

NOW = dt.datetime(2026, 1, 3, tzinfo=dt.UTC)
RATES = {"idle": 0.5, "training": 0.25, "not_priced": []}


def pod(name: str = "w-1", phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"phase": phase, **status}}


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"image": "w@1", "state": state}]}


def event(kind: str, name: str, reason: str, message: str, at: str = "1") -> dict[str, Any]:
    involved = {"kind": kind, "name": name}
    return {"involvedObject": involved, "reason": reason, "message": message, "lastTimestamp": at}


UNSCHEDULABLE: dict[str, Any] = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3\n ok",
        }
    ]
}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_can_not_be_pulled_is_named_with_the_reason(reason: str) -> None:
    state = container(waiting={"reason": reason, "message": "not\nfound"})
    line = "pod w-1: image w@1 can't be pulled (not found)"
    assert diagnostics.of_pod(pod(**state)) == line


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (UNSCHEDULABLE, "pod w-1 can't be scheduled: 0/3 ok"),
        (container(waiting={"reason": "CreateContainerConfigError", "message": "no s"}), "no s"),
        (container(waiting={"reason": "CrashLoopBackOff", "message": "b"}), "keeps crashing: b"),
        (container(terminated={"reason": "OOMKilled", "exitCode": 137}), "out of memory"),
    ],
)
def test_a_pod_that_does_not_run_is_told_why(status: dict[str, Any], words: str) -> None:
    assert words in str(diagnostics.of_pod(pod(**status)))


@pytest.mark.parametrize(
    "well",
    [
        pod(),
        pod(**container(waiting={"reason": "ContainerCreating"})),
        pod(phase="Running", **container(running={})),
        pod(phase="Succeeded", **container(terminated={"reason": "Completed", "exitCode": 0})),
        pod(phase="Running", **UNSCHEDULABLE),
    ],
)
def test_a_pod_that_runs_or_needs_time_is_not_complained_about(well: dict[str, Any]) -> None:
    assert diagnostics.of_pod(well) is None


def test_a_volume_that_can_not_be_mounted_is_the_pods_latest_event() -> None:
    events = [
        event("Pod", "w-1", "FailedMount", "new", "2"),
        event("Pod", "w-1", "FailedMount", "old", "1"),
        event("Pod", "w-2", "FailedMount", "other", "3"),
    ]
    assert diagnostics.of_pod(pod(), events) == "pod w-1 can't mount a volume: new"


def test_a_claim_that_can_not_be_bound_is_told_why_unless_it_waits_for_its_pod() -> None:
    claim = {"metadata": {"name": "c"}, "status": {"phase": "Pending"}}
    failed = event("PersistentVolumeClaim", "c", "ProvisioningFailed", "no class x")
    later = event("PersistentVolumeClaim", "c", "WaitForFirstConsumer", "waiting")
    assert diagnostics.of_claim(claim, [failed]) == "claim c can't be bound: no class x"
    assert diagnostics.of_claim(claim) == "claim c can't be bound: it is Pending"
    assert diagnostics.of_claim(claim, [later]) is None
    assert diagnostics.of_claim({**claim, "status": {"phase": "Bound"}}, [failed]) is None


def test_a_failed_job_is_told_by_what_its_workers_ended_with() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "long"}
    ended = pod(phase="Failed", **container(terminated={"exitCode": 2}))
    told = diagnostics.of_job(job(conditions=[failed]), [ended])
    assert told is not None
    assert "PodFailurePolicy: wrong arguments, settings or credentials (scripts/logs.sh" in told
    assert str(diagnostics.of_job(job(conditions=[failed]))).endswith("PodFailurePolicy: long")
    assert diagnostics.of_job(job(conditions=[{**failed, "status": "False"}])) is None
    assert diagnostics.of_job(job(active=1)) is None


def test_a_halted_chain_and_each_dead_letter_are_a_line() -> None:
    queue = {
        "dead": [{"dataset": "a.pkl", "kind": "refused", "reason": "too old"}],
        "halted": {"dataset": "b.pkl", "reason": "disk"},
    }
    dead, halted = diagnostics.of_queue(queue)
    assert dead == "a.pkl was refused: too old"
    assert halted.startswith("the chain halted at b.pkl: disk")
    assert not list(diagnostics.of_queue({"dead": [], "halted": None}))


def test_what_follows_from_a_claim_is_not_told_twice() -> None:
    claim = {"metadata": {"name": "c"}, "status": {"phase": "Pending"}}
    condition = {**UNSCHEDULABLE["conditions"][0], "message": "pod has unbound claims"}
    waiting = pod(conditions=[condition])
    lines = diagnostics.everything(job(), [waiting], [claim], [])
    assert lines == ["claim c can't be bound: it is Pending"]
    assert len(diagnostics.everything(job(), [waiting], [], [])) == 1


def test_a_claim_that_no_pod_of_the_stack_uses_keeps_no_command_out() -> None:
    claims = [{"metadata": {"name": name}, "status": {"phase": "Pending"}} for name in ("a", "b")]
    worker = pod(phase="Running")
    worker["spec"] = {"volumes": [{"name": "s", "persistentVolumeClaim": {"claimName": "a"}}]}
    assert diagnostics.keeps_commands_out([worker], claims, [])
    assert not diagnostics.keeps_commands_out([worker], claims[1:], [])
    assert diagnostics.keeps_commands_out([], claims[1:], [])


def test_a_missing_job_is_told_with_what_to_do() -> None:
    [line] = diagnostics.everything(None, [], [], [])
    assert line.endswith("run pulumi up")


def test_a_pod_whose_claim_can_not_be_bound_is_not_taken_for_one_that_needs_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbound = {**UNSCHEDULABLE["conditions"][0], "message": "pod has unbound immediate claims"}
    monkeypatch.setattr(kube, "get", lambda *_: pod(conditions=[unbound]))
    monkeypatch.setattr(kube, "items", lambda *_: [])
    monkeypatch.setattr(pods, "SETTLE_SECONDS", 0)
    with pytest.raises(Failure, match="unbound immediate claims"):
        pods.await_running("w-1")


def test_what_is_wrong_with_many_pods_is_told_once() -> None:
    pulls = [{"reason": r, "message": r} for r in ("ErrImagePull", "ImagePullBackOff")]
    many = [pod(f"w-{n}", **container(waiting=pulls[n % 2])) for n in range(4)]
    lines = diagnostics.everything(job(), [*many, pod("w-9", **UNSCHEDULABLE)], [], [])
    assert lines == [
        "pod w-0: image w@1 can't be pulled (ErrImagePull) (and 3 more like this)",
        "pod w-9 can't be scheduled: 0/3 ok",
    ]


def test_the_cost_is_idle_hours_and_the_jobs_hours_at_their_rates() -> None:
    since = NOW - dt.timedelta(hours=10)
    assert cost.so_far(RATES, since, 4.0, NOW).startswith("about 6.00 USD since 2026-01-02 14:00")
    assert "idle 5.00, this Job's workers at most 1.00" in cost.so_far(RATES, since, 4.0, NOW)
    assert "estimate" in cost.so_far(RATES, since, 4.0, NOW)
    assert "without nodes" in cost.so_far({**RATES, "not_priced": ["nodes"]}, since, 0, NOW)
    free = {"idle": 0.0, "training": 0.0, "not_priced": []}
    assert cost.so_far(free, since, 4.0, NOW) == "nothing to pay: no cloud resources"


@pytest.mark.parametrize(
    ("status", "hours"),
    [
        ({}, 0.0),
        ({"startTime": "2026-01-02T23:00:00Z"}, 1.0),
        (
            {
                "startTime": "2026-01-02T12:00:00Z",
                "conditions": [
                    {"type": kind, "status": "True", "lastTransitionTime": "2026-01-02T14:30:00Z"}
                    for kind in ("SuccessCriteriaMet", "Complete")
                ],
            },
            2.5,
        ),
    ],
)
def test_a_jobs_hours_end_with_the_job(status: dict[str, Any], hours: float) -> None:
    assert cost.job_hours(job(**status), NOW) == pytest.approx(hours)


def test_a_pod_of_the_template_sleeps_until_its_deadline() -> None:
    made = manifest(TEMPLATE, "command-1", 60)
    assert (made["apiVersion"], made["kind"]) == ("v1", "Pod")
    assert made["metadata"] == {"labels": {"app": "workload-command"}, "name": "command-1"}
    assert made["spec"]["activeDeadlineSeconds"] == 60
    assert made["spec"]["containers"] == [
        {"name": "workload", "image": "workload@sha256:1", "command": ["sleep", "60"]}
    ]
    assert "args" in TEMPLATE["template"]["spec"]["containers"][0]  # type: ignore[index]

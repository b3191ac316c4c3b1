"""What a worker may do, and who may reach the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from existing import WORKER_USER
from journeys.rehearsed import NAMESPACE, REDIS
from node.manifests import restricted_pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from journeys.rehearsed import Rehearsal
    from node.pods import Pods

CANARY = "canary"
REACH_SECONDS = 5

_LOOK = """
import errno, json, os, pathlib

def refusal(path):
    try:
        pathlib.Path(path).write_text("written")
    except OSError as error:
        return errno.errorcode[error.errno]
    pathlib.Path(path).unlink()

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "user": os.getuid(),
    "group": os.getgid(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "can gain privileges": status["NoNewPrivs"].strip() != "1",
    "system calls filtered": status["Seccomp"].strip() == "2",
    "refusals": [refusal(f"{where}/note") for where in ("", "/app", "/opt", "/etc", "/usr/bin")],
    "may write": [refusal(f"{where}/note") for where in ("/mnt/fileserver", "/tmp")],
    "service account": os.path.exists("/var/run/secrets/kubernetes.io"),
}))
"""

_ASK = """
import json, os, redis

def answer(password):
    try:
        return redis.Redis(host="redis", password=password, protocol=2, socket_timeout=10).ping()
    except redis.RedisError as error:
        return str(error)

assert "REDIS_PASSWORD" not in os.environ
with open(os.environ["REDIS_PASSWORD_FILE"]) as stream:
    password = stream.read()
print(json.dumps([answer(p) for p in (password, "wrong", None)]))
"""


@pytest.fixture(scope="module")
def worker(dev: Rehearsal) -> str:
    """Return the name of a worker that waits for the first dataset."""
    return dev.until_worker()


def test_worker_is_nobody_and_writes_to_the_share_and_scratch_only(
    dev: Rehearsal, worker: str
) -> None:
    assert _python(dev, worker, _LOOK) == {
        "user": WORKER_USER,
        "group": WORKER_USER,
        "capabilities": 0,
        "can gain privileges": False,
        "system calls filtered": True,
        "refusals": ["EROFS"] * 5,
        "may write": [None, None],
        "service account": False,
    }


def test_no_pod_of_the_stack_gets_a_token_of_the_cluster(dev: Rehearsal) -> None:
    pods = dev.pods.all()
    assert {pod["metadata"]["labels"]["app"] for pod in pods} == {"redis", "workload"}
    for pod in pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert [volume for volume in pod["spec"]["volumes"] if "projected" in volume] == []


def test_redis_wants_its_password(dev: Rehearsal, worker: str) -> None:
    right, wrong, none = _python(dev, worker, _ASK)
    assert right is True
    assert "invalid username-password pair" in wrong
    assert "Authentication required" in none


def test_only_restricted_pods_are_admitted(dev: Rehearsal) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}"
    labels = dev.node.api.request("GET", path).json()["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    privileged = {
        "metadata": {"name": "privileged"},
        "spec": {"containers": [{"name": "any", "image": dev.node.images.redis.reference}]},
    }
    with pytest.raises(ValueError, match="violates PodSecurity"):
        dev.pods.create(privileged)


def test_a_pod_that_is_no_worker_reaches_redis_only_where_no_policy_is_enforced(
    dev: Rehearsal, tell: Callable[[str], None]
) -> None:
    [redis] = dev.pods.all(REDIS)
    stranger = _reaches(dev.pods, dev, redis["status"]["podIP"])
    if _policies_are_enforced(dev):
        assert not stranger
    else:
        tell(
            "NetworkPolicy is NOT enforced on this node: that it keeps strangers off Redis is not\n"
            "shown here. Only the password keeps them off."
        )
        assert stranger, "the canary is reached and Redis is not: this test asks the wrong way"


def _policies_are_enforced(dev: Rehearsal) -> bool:
    """Return whether a policy that lets nothing in has an effect on this node's pods."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": CANARY},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CANARY}}
    dev.node.apply(namespace, policy)
    pods = dev.node.pods(CANARY)
    try:
        image = dev.node.images.redis.reference
        command = ["redis-server", "--save", "", "--protected-mode", "no"]
        pods.create(restricted_pod("server", image, (999, 1000), {}, command))
        server = pods.until_ready("server")
        return not _reaches(pods, dev, server["status"]["podIP"])
    finally:
        dev.node.api.request("DELETE", f"/api/v1/namespaces/{CANARY}").raise_for_status()


def _reaches(pods: Pods, dev: Rehearsal, address: str) -> bool:
    """Return whether a pod without the labels of a worker gets any answer of a Redis."""
    ask = f"timeout {REACH_SECONDS} redis-cli -h {address} ping"
    image = dev.node.images.redis.reference
    pods.create(restricted_pod("stranger", image, (999, 1000), {}, ["sh", "-c", ask]))
    pods.until_phase("stranger", "Succeeded", "Failed")
    answer = pods.logs("stranger")
    pods.delete("stranger", grace_seconds=0)
    return "PONG" in answer or "NOAUTH" in answer


def _python(dev: Rehearsal, pod: str, program: str) -> Any:
    ran = dev.pods.execute(pod, "python", "-c", program)
    assert ran.code == 0, ran.text
    return json.loads(ran.text)

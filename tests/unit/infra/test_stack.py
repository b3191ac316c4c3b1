"""What the stack declares: the names and values of the tutorial, in previews and for real."""

from __future__ import annotations

import functools
import json
import os
import re
from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN, _special_sig_key

from tests.support.program import (
    DIGEST,
    ENDPOINT,
    IP,
    PASSWORD,
    PROJECT,
    ROOT,
    Declared,
    Resource,
    declare,
)

IMAGE = f"us-central1-docker.pkg.dev/{PROJECT}/batch-aiml/workload:dev@{DIGEST}"
JOB = "kubernetes:batch/v1:Job"
TEMPLATE = "kubernetes:core/v1:PodTemplate"
FILESTORE = "gcp:filestore/instance:Instance"
OTHER_IMAGE = f"registry.example/workload@sha256:{'b' * 64}"


@functools.cache
def _declared(stack: str = "dev", *, preview: bool = False) -> Declared:
    return declare(stack, preview=preview)


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def dev(request: pytest.FixtureRequest) -> Declared:
    """Return the dev stack, with everything known and with what a first preview knows."""
    return _declared(preview=request.param)


@pytest.fixture
def up() -> Declared:
    """Return the dev stack with everything known."""
    return _declared()


def _pod(workload: Resource) -> dict[str, Any]:
    owner = workload.inputs if workload.type == TEMPLATE else workload.inputs["spec"]
    spec: dict[str, Any] = owner["template"]["spec"]
    return spec


def _container(workload: Resource) -> dict[str, Any]:
    [container] = _pod(workload)["containers"]
    assert isinstance(container, dict)
    return container


# Google Cloud


def test_the_apis_that_the_stack_uses_are_enabled_and_stay_so(dev: Declared) -> None:
    services = dev.all("Service")
    google = {s.inputs["service"]: s for s in services if s.type.startswith("gcp:projects")}
    assert set(google) == {
        f"{api}.googleapis.com"
        for api in (
            "artifactregistry",
            "cloudresourcemanager",
            "compute",
            "container",
            "file",
            "iam",
        )
    }
    assert all(s.inputs["disableOnDestroy"] is False for s in google.values())


def test_the_cluster_is_the_tutorials_autopilot(dev: Declared) -> None:
    cluster = dev.one("Cluster").inputs
    assert cluster["name"] == "batch-aiml"
    assert cluster["location"] == "us-central1"
    assert cluster["enableAutopilot"] is True
    assert cluster["network"] == "default"
    assert cluster["deletionProtection"] is False
    assert "nodeConfig" not in cluster
    assert not dev.all("NodePool")


def test_the_control_plane_is_reached_by_its_dns_endpoint_alone(dev: Declared) -> None:
    endpoints = dev.one("Cluster").inputs["controlPlaneEndpointsConfig"]
    assert endpoints["dnsEndpointConfig"] == {"allowExternalTraffic": True}
    assert endpoints["ipEndpointsConfig"] == {"enabled": False}


def test_nodes_have_an_identity_with_two_roles_and_no_more(up: Declared) -> None:
    member = f"serviceAccount:nodes@{PROJECT}.iam.gserviceaccount.com"
    project_role = up.one("IAMMember").inputs
    assert project_role == {
        "project": PROJECT,
        "role": "roles/container.defaultNodeServiceAccount",
        "member": member,
    }
    repository_role = up.one("RepositoryIamMember").inputs
    assert repository_role["role"] == "roles/artifactregistry.reader"
    assert repository_role["member"] == member
    defaults = up.one("Cluster").inputs["clusterAutoscaling"]["autoProvisioningDefaults"]
    assert defaults["serviceAccount"] == f"nodes@{PROJECT}.iam.gserviceaccount.com"


def test_the_share_is_the_tutorials_filestore_instance(dev: Declared) -> None:
    share = dev.one(FILESTORE)
    assert share.inputs["name"] == "batch-aiml-filestore"
    assert share.inputs["location"] == "us-central1-b"
    assert share.inputs["tier"] == "BASIC_HDD"
    assert share.inputs["fileShares"] == {"name": "NFSVol", "capacityGb": 1024}
    [network] = share.inputs["networks"]
    assert network == {
        "network": "default",
        "modes": ["MODE_IPV4"],
        "connectMode": "DIRECT_PEERING",
    }
    assert share.timeouts == ("30m", "30m", "30m")
    assert share.delete_before_replace


def test_cluster_and_share_are_made_side_by_side(up: Declared) -> None:
    cluster, share = up.one("Cluster"), up.one(FILESTORE)
    assert share.urn not in cluster.dependencies
    assert cluster.urn not in share.dependencies


def test_protect_guards_the_share_and_the_cluster() -> None:
    for protect in (True, False):
        declared = declare(protect=protect)
        share, cluster = declared.one(FILESTORE), declared.one("Cluster")
        assert share.protect is protect
        assert cluster.protect is protect
        assert cluster.inputs["deletionProtection"] is protect


def test_every_google_resource_that_takes_labels_has_them(dev: Declared) -> None:
    labels = {
        "app": "batch-aiml",
        "stack": "dev",
        "environment": "development",
        "managed-by": "pulumi",
    }
    assert dev.one("Cluster").inputs["resourceLabels"] == labels
    for kind in (FILESTORE, "Repository"):
        assert dev.one(kind).inputs["labels"] == labels


def test_production_is_a_label_that_policies_see() -> None:
    share = declare(production=True).one(FILESTORE)
    assert share.inputs["labels"]["environment"] == "production"


def test_given_the_nodes_account_the_stack_makes_none_and_grants_no_role_in_the_project() -> None:
    nodes = f"made@{PROJECT}.iam.gserviceaccount.com"
    declared = declare(cluster="standard", node_service_account=nodes)
    assert not declared.all("gcp:serviceaccount/account:Account")
    assert not declared.all("gcp:projects/iAMMember:IAMMember")
    for pool in declared.all("NodePool"):
        assert pool.inputs["nodeConfig"]["serviceAccount"] == nodes
    assert declared.one("RepositoryIamMember").inputs["member"] == f"serviceAccount:{nodes}"


def test_a_standard_cluster_has_a_system_pool_and_a_tainted_spot_pool() -> None:
    declared = declare(cluster="standard")
    cluster = declared.one("Cluster").inputs
    assert cluster["location"] == "us-central1-b"
    assert cluster["removeDefaultNodePool"] is True
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH"
    assert cluster["addonsConfig"]["gcpFilestoreCsiDriverConfig"] == {"enabled": True}
    assert "enableAutopilot" not in cluster
    # The pool that Google makes first works as the nodes' account, too, for as long as it is there.
    assert cluster["nodeConfig"]["serviceAccount"] == f"nodes@{PROJECT}.iam.gserviceaccount.com"
    pools = {
        p.inputs["nodeConfig"]["labels"]["batch-aiml/pool"]: p.inputs["nodeConfig"]
        for p in declared.all("NodePool")
    }
    assert set(pools) == {"system", "spot"}
    assert pools["system"]["spot"] is False
    assert pools["spot"]["spot"] is True
    [taint] = pools["spot"]["taints"]
    assert taint == {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NO_SCHEDULE"}
    assert _pod(declared.one("StatefulSet"))["nodeSelector"] == {"batch-aiml/pool": "system"}
    provider = declared.one("pulumi:providers:kubernetes")
    assert {pool.urn for pool in declared.all("NodePool")} <= provider.dependencies


def test_a_new_network_is_private_with_address_translation() -> None:
    declared = declare(network="new", subnet_range="10.50.0.0/20")
    assert declared.one("gcp:compute/network:Network").inputs["autoCreateSubnetworks"] is False
    subnet = declared.one("Subnetwork").inputs
    assert subnet["ipCidrRange"] == "10.50.0.0/20"
    assert subnet["privateIpGoogleAccess"] is True
    assert declared.one("RouterNat").inputs["natIpAllocateOption"] == "AUTO_ONLY"
    cluster = declared.one("Cluster").inputs
    assert cluster["network"] == "network-vpc-1234567"
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True}
    [network] = declared.one(FILESTORE).inputs["networks"]
    assert network["network"] == "network-vpc-1234567"


def test_in_a_network_of_its_own_only_nodes_may_mount_the_share(dev: Declared) -> None:
    declared = declare(network="new", subnet_range="10.50.0.0/20")
    [allowed] = declared.one(FILESTORE).inputs["fileShares"]["nfsExportOptions"]
    assert allowed == {
        "ipRanges": ["10.50.0.0/20"],
        "accessMode": "READ_WRITE",
        "squashMode": "NO_ROOT_SQUASH",
    }
    assert "nfsExportOptions" not in dev.one(FILESTORE).inputs["fileShares"]


# Volume and claim


def test_the_volume_takes_its_address_from_the_share(up: Declared) -> None:
    volume = up.one("PersistentVolume", "fileserver").inputs["spec"]
    assert volume["csi"] == {
        "driver": "filestore.csi.storage.gke.io",
        "volumeHandle": "modeInstance/us-central1-b/batch-aiml-filestore/NFSVol",
        "volumeAttributes": {"ip": IP, "volume": "NFSVol"},
    }
    assert volume["mountOptions"] == ["lookupcache=positive"]
    assert volume["persistentVolumeReclaimPolicy"] == "Retain"


def test_in_a_preview_the_volumes_address_is_unknown_and_never_a_guess() -> None:
    volume = _declared(preview=True).one("PersistentVolume").inputs["spec"]
    assert volume["csi"]["volumeAttributes"] == {"ip": UNKNOWN, "volume": "NFSVol"}


def test_volume_and_claim_are_the_tutorials(dev: Declared) -> None:
    volume = dev.one("PersistentVolume", "fileserver").inputs["spec"]
    claim = dev.one("PersistentVolumeClaim", "fileserver-claim").inputs["spec"]
    for spec in (volume, claim):
        assert spec["storageClassName"] == ""
        assert spec["accessModes"] == ["ReadWriteMany"]
    assert volume["capacity"] == {"storage": "1T"}
    assert claim["resources"] == {"requests": {"storage": "1T"}}
    assert claim["volumeName"] == "fileserver"
    worker = dev.one(JOB)
    [share] = [v for v in _pod(worker)["volumes"] if v["name"] == "share"]
    assert share["persistentVolumeClaim"] == {"claimName": "fileserver-claim"}
    mounts = {m["name"]: m["mountPath"] for m in _container(worker)["volumeMounts"]}
    assert mounts["share"] == "/mnt/fileserver"


def test_the_local_share_is_a_directory_of_the_node_or_a_storage_class() -> None:
    volume = _declared("local").one("PersistentVolume").inputs["spec"]
    assert volume["hostPath"] == {"path": "/srv/batch-aiml", "type": "Directory"}
    assert "csi" not in volume
    declared = declare("local", share_storage_class="nfs-client")
    assert not declared.all("PersistentVolume")
    claim = declared.one("PersistentVolumeClaim", "fileserver-claim").inputs["spec"]
    assert claim["storageClassName"] == "nfs-client"
    assert "volumeName" not in claim


@pytest.mark.parametrize("storage_class", ["", "nfs-client"])
def test_a_claim_says_nothing_of_what_the_cluster_fills_in(storage_class: str) -> None:
    claims = declare("local", share_storage_class=storage_class).all("PersistentVolumeClaim")
    assert len(claims) == 2
    for claim in claims:
        # Where a null was sent, a refresh finds a value, and the claim is replaced with its data.
        assert None not in claim.raw["spec"].values()


def test_the_local_stack_declares_nothing_on_google_cloud() -> None:
    declared = _declared("local")
    assert not [r for r in declared.resources if r.type.startswith("gcp:")]
    assert "nodeSelector" not in _pod(declared.one(JOB))
    image = declared.one("Image").inputs
    assert (image["push"], image["load"]) == (False, True)
    # Whoever owns that name in a public registry must have no say.
    assert _container(declared.one(JOB))["imagePullPolicy"] == "Never"


# Redis


def test_redis_is_one_replica_behind_the_tutorials_service(dev: Declared) -> None:
    service = dev.one("kubernetes:core/v1:Service", "redis").inputs
    assert service["spec"]["type"] == "ClusterIP"
    [port] = service["spec"]["ports"]
    assert port["port"] == 6379
    leader = dev.one("StatefulSet", "redis-leader")
    assert leader.inputs["spec"]["replicas"] == 1
    labels = leader.inputs["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert leader.inputs["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]


def test_redis_keeps_its_log_on_a_claim_that_destroy_removes(dev: Declared) -> None:
    leader = dev.one("StatefulSet")
    assert "volumeClaimTemplates" not in leader.inputs["spec"]
    claim = dev.one("PersistentVolumeClaim", "redis-data").inputs["spec"]
    assert claim["storageClassName"] == "standard-rwo"
    assert claim["accessModes"] == ["ReadWriteOnce"]
    [data] = [v for v in _pod(leader)["volumes"] if v["name"] == "data"]
    assert data["persistentVolumeClaim"] == {"claimName": "redis-data"}


def test_redis_is_durable_bounded_and_has_a_password(up: Declared) -> None:
    secret = up.one("Secret", "redis").inputs["stringData"]
    assert secret["password"] == PASSWORD
    config = dict(line.split(" ", 1) for line in secret["redis.conf"].splitlines())
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["maxmemory"] == "716mb"
    assert config["requirepass"] == PASSWORD
    assert config["dir"] == "/data"


def test_redis_is_never_on_spot_and_never_evicted_for_packing(dev: Declared) -> None:
    leader = dev.one("StatefulSet")
    assert "spot" not in json.dumps(_pod(leader))
    annotations = leader.inputs["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_a_changed_password_restarts_redis_and_the_workers(up: Declared) -> None:
    computed = {"random:index/randomPassword:RandomPassword": {"result": "q" * 32}}
    changed = declare(computed=computed)
    for kind in ("StatefulSet", JOB):
        templates = [d.one(kind).inputs["spec"]["template"] for d in (up, changed)]
        assert templates[0] != templates[1]
    assert up.outputs["job_name"] != changed.outputs["job_name"]


def test_only_workers_and_commands_reach_redis_and_they_reach_only_redis_and_dns(
    dev: Declared,
) -> None:
    clients = {
        "matchExpressions": [
            {"key": "app", "operator": "In", "values": ["workload", "workload-command"]}
        ]
    }
    policies = {p.physical_name: p.inputs["spec"] for p in dev.all("NetworkPolicy")}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    [ingress] = policies["redis"]["ingress"]
    assert ingress["from"] == [{"podSelector": clients}]
    assert ingress["ports"] == [{"port": 6379, "protocol": "TCP"}]
    assert policies["workload"]["podSelector"] == clients
    dns, redis = policies["workload"]["egress"]
    assert {p["port"] for p in dns["ports"]} == {53}
    blocks = {peer["ipBlock"]["cidr"] for peer in dns["to"] if "ipBlock" in peer}
    assert blocks == {"169.254.20.10/32", "169.254.169.254/32"}
    assert redis["to"] == [{"podSelector": policies["redis"]["podSelector"]}]


def test_managed_redis_has_a_password_and_encryption_and_the_same_secret() -> None:
    declared = declare(redis_mode="memorystore")
    instance = declared.one("gcp:redis/instance:Instance").inputs
    assert instance["authEnabled"] is True
    assert instance["transitEncryptionMode"] == "SERVER_AUTHENTICATION"
    assert instance["redisConfigs"] == {"maxmemory-policy": "noeviction"}
    assert not declared.all("StatefulSet")
    assert not declared.all("RandomPassword")
    assert declared.one("Secret", "redis").inputs["stringData"] == {
        "password": PASSWORD,
        "ca.pem": "CA ONE\nCA TWO",
    }
    worker = _container(declared.one(JOB))
    environment = {e["name"]: e.get("value") for e in worker["env"]}
    assert environment["WORKLOAD_REDIS_URL"] == (
        "rediss://10.20.30.40:6378/0?ssl_ca_certs=/etc/redis/ca.pem&ssl_check_hostname=False"
    )
    mounts = {m["name"]: m["mountPath"] for m in worker["volumeMounts"]}
    assert mounts["redis"] == "/etc/redis"
    policy = declared.one("NetworkPolicy", "workload").inputs["spec"]["egress"][1]
    assert policy == {
        "to": [{"ipBlock": {"cidr": "10.20.30.40/32"}}],
        "ports": [{"port": 6378, "protocol": "TCP"}],
    }
    assert declared.outputs["redis_service"] == "10.20.30.40:6378"


def test_managed_redis_can_be_previewed() -> None:
    declared = declare(redis_mode="memorystore", preview=True)
    assert declared.outputs["redis_service"] == UNKNOWN
    assert declared.one("Secret").inputs["stringData"] == UNKNOWN


# Pods


@pytest.mark.parametrize("kind", ["StatefulSet", JOB, TEMPLATE])
def test_pods_meet_the_restricted_standard(dev: Declared, kind: str) -> None:
    pod, container = _pod(dev.one(kind)), _container(dev.one(kind))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    namespace = dev.one("Namespace").inputs["metadata"]
    assert namespace["name"] == "batch-aiml"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("kind", ["StatefulSet", JOB, TEMPLATE])
def test_requests_equal_limits_with_ephemeral_storage(dev: Declared, kind: str) -> None:
    resources = _container(dev.one(kind))["resources"]
    assert resources["requests"] == resources["limits"]
    assert set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_every_kubernetes_object_has_the_labels_and_the_namespace(dev: Declared) -> None:
    objects = [r for r in dev.resources if r.type.startswith("kubernetes:")]
    assert len(objects) == 13
    for thing in objects:
        metadata = thing.inputs["metadata"]
        assert {
            "app.kubernetes.io/part-of": "batch-aiml",
            "app.kubernetes.io/managed-by": "pulumi",
            "batch-aiml/stack": "dev",
            "batch-aiml/environment": "development",
        }.items() <= metadata["labels"].items()
        cluster_wide = thing.type.endswith((":Namespace", ":PersistentVolume"))
        assert cluster_wide or metadata["namespace"] == "batch-aiml", thing.name


# Job


def test_the_job_is_the_tutorials_on_spot(dev: Declared) -> None:
    job = dev.one(JOB)
    pod = _pod(job)
    assert job.inputs["metadata"]["labels"]["app"] == "workload"
    assert job.inputs["spec"]["template"]["metadata"]["labels"]["app"] == "workload"
    assert pod["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    assert pod["terminationGracePeriodSeconds"] <= 25
    assert _container(job)["args"] == ["work"]


def test_a_preempted_worker_is_replaced_and_a_wrong_configuration_is_not(dev: Declared) -> None:
    spec = dev.one(JOB).inputs["spec"]
    assert _pod(dev.one(JOB))["restartPolicy"] == "Never"
    assert spec["podFailurePolicy"]["rules"] == [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [75]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3]}},
    ]
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["completions"] == spec["parallelism"] == 1
    assert spec["backoffLimit"] == 10
    assert spec["activeDeadlineSeconds"] == 24 * 3600
    assert "ttlSecondsAfterFinished" not in spec
    lost = {
        t["key"]: t["tolerationSeconds"]
        for t in _pod(dev.one(JOB))["tolerations"]
        if "tolerationSeconds" in t
    }
    assert lost == {"node.kubernetes.io/not-ready": 30, "node.kubernetes.io/unreachable": 30}


def test_up_does_not_wait_for_the_training(dev: Declared) -> None:
    annotations = dev.one(JOB).inputs["metadata"]["annotations"]
    assert annotations == {"pulumi.com/waitFor": "jsonpath={.status.startTime}"}


def test_the_worker_finds_share_queue_and_password(dev: Declared) -> None:
    environment = {e["name"]: e for e in _container(dev.one(JOB))["env"]}
    assert environment["WORKLOAD_SHARE"]["value"] == "/mnt/fileserver"
    assert environment["WORKLOAD_REDIS_URL"]["value"] == "redis://redis:6379/0"
    assert environment["WORKLOAD_FIRST_DATASET_WAIT_SECONDS"]["value"] == "3600"
    assert environment["REDIS_PASSWORD_FILE"]["value"] == "/etc/redis/password"


@pytest.mark.parametrize("mode", ["statefulset", "memorystore"])
def test_the_password_reaches_every_pod_as_a_file_and_none_in_its_environment(mode: str) -> None:
    declared = declare(redis_mode=mode)
    pods = [declared.one(JOB), declared.one(TEMPLATE, "workload-command")]
    pods += declared.all("StatefulSet")
    assert len(pods) == (3 if mode == "statefulset" else 2)
    for resource in pods:
        container = _container(resource)
        assert [e for e in container.get("env", []) if "valueFrom" in e] == []
        assert "envFrom" not in container
        mounted = {m["name"]: m for m in container["volumeMounts"]}
        [secret] = [v for v in _pod(resource)["volumes"] if "secret" in v]
        assert secret["secret"]["secretName"] == "redis"
        assert {"key": "password", "path": "password"} in secret["secret"]["items"]
        assert mounted[secret["name"]]["mountPath"] == "/etc/redis"
        assert mounted[secret["name"]]["readOnly"] is True


def test_workers_and_operators_commands_learn_with_the_trainer_of_the_configuration(
    dev: Declared,
) -> None:
    own = declare(trainer="workload.trainers.mine:Mine?season=7")
    labelled = declare(label="IS FRAUD")
    names = {stack.outputs["job_name"] for stack in (declare(), own, labelled)}
    assert len(names) == 3
    for stack, trainer in (
        (dev, "fraud"),
        (own, "workload.trainers.mine:Mine?season=7"),
        (labelled, "fraud?label=IS%20FRAUD"),
    ):
        for resource in (stack.one(JOB), stack.one(TEMPLATE, "workload-command")):
            environment = {e["name"]: e.get("value") for e in _container(resource)["env"]}
            assert environment["WORKLOAD_TRAINER"] == trainer


def test_the_jobs_name_carries_the_run_and_changes_with_its_template(up: Declared) -> None:
    name = str(up.outputs["job_name"])
    assert name.startswith("workload-1-")
    assert name == up.one(JOB).physical_name
    assert declare().outputs["job_name"] == name
    changed = {
        "run": declare(run="monday").outputs["job_name"],
        "image": declare(image=OTHER_IMAGE).outputs["job_name"],
        "cpu": declare(worker_cpu="2", worker_memory="4Gi").outputs["job_name"],
    }
    assert changed["run"].startswith("workload-monday-")
    assert len({name, *changed.values()}) == 4


def test_a_setting_of_the_job_alone_changes_no_other_resource(up: Declared) -> None:
    for change in ({"run": "2"}, {"parallelism": 3}, {"worker_cpu": "2"}):
        other = declare(**change)
        before = {r.urn: r.inputs for r in up.resources}
        after = {r.urn: r.inputs for r in other.resources}
        assert set(before) == set(after)
        differing = {urn for urn in before if before[urn] != after[urn]}
        assert {urn.rsplit("::", 1)[1] for urn in differing} == {"training-job"}


# Operator's commands


def test_an_operators_pod_is_a_worker_s_but_small_and_neither_spot_nor_counted(
    dev: Declared,
) -> None:
    command, worker = dev.one(TEMPLATE, "workload-command"), dev.one(JOB)
    pod, container = _pod(command), _container(command)
    same = ("image", "env", "volumeMounts", "securityContext")
    assert {k: container[k] for k in same} == {k: _container(worker)[k] for k in same}
    for field in ("volumes", "securityContext", "serviceAccountName", "restartPolicy"):
        assert pod[field] == _pod(worker)[field]
    assert container["resources"]["limits"] == {
        "cpu": "250m",
        "memory": "512Mi",
        "ephemeral-storage": "1Gi",
    }
    assert pod["activeDeadlineSeconds"] == 3600
    assert "spot" not in json.dumps(pod)
    assert command.inputs["template"]["metadata"]["labels"]["app"] == "workload-command"


def test_a_changed_image_changes_the_operators_template_and_not_its_name(up: Declared) -> None:
    changed = declare(image=OTHER_IMAGE).one(TEMPLATE)
    assert _container(changed)["image"] == OTHER_IMAGE
    assert changed.urn == up.one(TEMPLATE).urn
    assert changed.physical_name == up.one(TEMPLATE).physical_name


def test_the_next_steps_are_scripts_that_are_there(dev: Declared) -> None:
    scripts = re.findall(r"^scripts/\S+", dev.outputs["next_steps"], re.MULTILINE)
    assert len(scripts) == 5
    assert [name for name in scripts if not os.access(ROOT / name, os.X_OK)] == []


def test_the_local_stack_says_which_cluster_it_is_in() -> None:
    outputs = declare("local", kube_context="kind-batch").outputs
    assert outputs["kube_context"] == "kind-batch"
    assert outputs["namespace"] == "batch-aiml"
    assert "kubeconfig" not in outputs
    assert "gcloud" not in outputs["next_steps"]


# Image


def test_the_image_is_built_from_the_workload_pushed_and_used_by_digest(up: Declared) -> None:
    image = up.one("Image").inputs
    assert image["context"] == {"location": "workload"}
    assert image["dockerfile"] == {"location": "workload/Dockerfile"}
    assert image["push"] is True
    assert image["tags"] == [f"us-central1-docker.pkg.dev/{PROJECT}/batch-aiml/workload:dev"]
    assert _container(up.one(JOB))["image"] == IMAGE
    assert _container(up.one(JOB))["imagePullPolicy"] == "IfNotPresent"
    assert up.outputs["image"] == IMAGE


def test_nothing_is_built_in_previews(dev: Declared) -> None:
    assert dev.one("Image").inputs["buildOnPreview"] is False


def test_a_given_image_skips_build_and_repository() -> None:
    declared = declare(image=OTHER_IMAGE)
    assert not declared.all("Image")
    assert not declared.all("Repository")
    assert declared.outputs["image"] == OTHER_IMAGE


def test_old_images_leave_the_repository(dev: Declared) -> None:
    policies = {p["id"]: p for p in dev.one("Repository").inputs["cleanupPolicies"]}
    assert policies["keep-recent"]["mostRecentVersions"] == {"keepCount": 10}
    assert policies["delete-untagged"]["condition"]["tagState"] == "UNTAGGED"


# Outputs and secrets


def test_the_outputs_are_the_contracts(dev: Declared) -> None:
    assert set(dev.outputs) == {
        "filestore_ip",
        "cluster_name",
        "cluster_location",
        "kubeconfig",
        "namespace",
        "redis_service",
        "job_name",
        "image",
        "share_mount",
        "estimated_monthly_usd",
        "estimated_hourly_usd",
        "next_steps",
    }
    assert dev.outputs["namespace"] == "batch-aiml"
    assert dev.outputs["cluster_name"] == "batch-aiml"
    assert dev.outputs["cluster_location"] == "us-central1"
    assert dev.outputs["share_mount"] == "/mnt/fileserver"
    assert dev.outputs["redis_service"] == "redis.batch-aiml:6379"


def test_the_ip_output_is_the_instances_and_unknown_before_it_exists() -> None:
    assert _declared().outputs["filestore_ip"] == IP
    assert _declared(preview=True).outputs["filestore_ip"] == UNKNOWN


def test_the_kubeconfig_is_secret_and_holds_no_credentials(up: Declared) -> None:
    assert up.secret_outputs == {"kubeconfig"}
    config = json.loads(up.outputs["kubeconfig"])
    [cluster] = config["clusters"]
    assert cluster["cluster"] == {"server": f"https://{ENDPOINT}"}
    [user] = config["users"]
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert up.one("pulumi:providers:kubernetes").inputs["clusterIdentifier"] == ENDPOINT


def test_the_password_is_secret_wherever_it_is_an_input(up: Declared) -> None:
    for resource in up.resources:
        if PASSWORD not in json.dumps(resource.inputs):
            continue
        assert PASSWORD not in _without_secrets(resource.raw), resource.name


def _without_secrets(properties: dict[str, Any]) -> str:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            if _special_sig_key in value:
                return "secret"
            return {key: strip(item) for key, item in value.items()}
        if isinstance(value, list):
            return [strip(item) for item in value]
        return value

    return json.dumps(strip(properties))

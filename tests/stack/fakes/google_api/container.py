"""Google Kubernetes Engine: clusters and node pools."""

from __future__ import annotations

from fakes.google_api.routing import Request, poll, route
from fakes.google_api.store import ApiError, Object

_PARENT = r"/container/v1/(projects/[^/]+/locations/[^/]+)"
_VERSION = "1.34.4-gke.1000"
_UPDATES = {
    "desiredReleaseChannel": "releaseChannel",
    "desiredControlPlaneEndpointsConfig": "controlPlaneEndpointsConfig",
    "desiredAddonsConfig": "addonsConfig",
}
"""Fields of a cluster that an update of each name sets."""


def _done(request: Request, parent: str, kind: str, target: str) -> Object:
    name = f"operation-{request.store.serial()}"
    location = parent.rsplit("/", 1)[-1]
    common = {"name": name, "operationType": kind, "location": location, "targetLink": target}
    return request.operation(
        name,
        {**common, "status": "RUNNING"},
        {**common, "status": "DONE"},
        {**common, "status": "DONE", "error": {"code": 13, "message": request.failure}},
    )


@route("GET", rf"{_PARENT}/operations/([^/]+)")
def _operation(request: Request, _parent: str, name: str) -> Object:
    return poll(request.store, name)


@route("POST", rf"{_PARENT}/clusters")
def _create(request: Request, parent: str) -> Object:
    wanted = request.body["cluster"]
    autopilot = wanted.get("autopilot", {}).get("enabled", False)
    if autopilot and wanted.get("nodePools"):
        raise ApiError(400, "Autopilot clusters manage their own node pools")
    project, location = parent.split("/")[1], parent.rsplit("/", 1)[-1]
    if autopilot and location[-2] == "-":
        raise ApiError(400, "Autopilot clusters are regional")
    network = (wanted.get("network") or f"projects/{project}/global/networks/default").split("/v1/")
    region = location if location[-2] != "-" else location[:-2]
    subnetwork = (
        wanted.get("subnetwork") or f"projects/{project}/regions/{region}/subnetworks/default"
    )
    name = f"{parent}/clusters/{wanted['name']}"
    link = f"{request.base}/container/v1/{name}"
    cluster = {
        "id": f"cluster-{request.store.serial()}",
        "selfLink": link,
        "location": location,
        "zone": location,
        "locations": [f"{region}-{zone}" for zone in "abc"] if location == region else [location],
        "status": "RUNNING",
        "endpoint": "34.1.2.3",
        "currentMasterVersion": _VERSION,
        "currentNodeVersion": _VERSION,
        "masterAuth": {"clusterCaCertificate": "RkFLRQ=="},
        "legacyAbac": {},
        "labelFingerprint": "f1",
        "loggingService": "logging.googleapis.com/kubernetes",
        "monitoringService": "monitoring.googleapis.com/kubernetes",
        "clusterIpv4Cidr": "10.8.0.0/17",
        "servicesIpv4Cidr": "34.118.224.0/20",
        "releaseChannel": {"channel": "REGULAR"},
        "workloadIdentityConfig": {"workloadPool": f"{project}.svc.id.goog"} if autopilot else {},
        "nodePools": [],
        **{
            key: value
            for key, value in wanted.items()
            if key not in ("legacyAbac", "networkConfig", "nodePools", "nodeConfig")
        },
        "network": network[-1].rsplit("/", 1)[-1],
        "subnetwork": subnetwork.rsplit("/", 1)[-1],
        "networkConfig": {
            "datapathProvider": "ADVANCED_DATAPATH" if autopilot else "",
            **wanted.get("networkConfig", {}),
            "network": network[-1],
            "subnetwork": subnetwork.split("/v1/")[-1],
        },
        "shieldedNodes": wanted.get("shieldedNodes") or {"enabled": True},
        "ipAllocationPolicy": {
            "stackType": "IPV4",
            "clusterIpv4CidrBlock": "10.8.0.0/17",
            "servicesIpv4CidrBlock": "34.118.224.0/20",
            **(wanted.get("ipAllocationPolicy") or {}),
            "useIpAliases": True,
        },
    }
    endpoints = cluster.setdefault("controlPlaneEndpointsConfig", {})
    endpoints.setdefault("dnsEndpointConfig", {})["endpoint"] = request.endpoint
    endpoints.setdefault("ipEndpointsConfig", {"enabled": True})
    request.store.create(name, cluster)
    if autopilot:
        cluster.pop("initialNodeCount", None)  # the real one never says it
    else:
        cluster["initialNodeCount"] = 1
        pools = wanted.get("nodePools") or [{"name": "default-pool", "initialNodeCount": 1}]
        for pool in pools:
            _add_pool(request, name, pool)
    return _done(request, parent, "CREATE_CLUSTER", link)


@route("GET", rf"{_PARENT}/clusters/([^/:]+)")
def _get(request: Request, parent: str, cluster: str) -> Object:
    name = f"{parent}/clusters/{cluster}"
    return {**request.store.get(name), **_pools(request, parent, cluster)}


@route("GET", rf"{_PARENT}/clusters/([^/:]+)/nodePools")
def _pools(request: Request, parent: str, cluster: str) -> Object:
    inside = f"{parent}/clusters/{cluster}/nodePools/"
    return {"nodePools": [v for k, v in request.store.objects.items() if k.startswith(inside)]}


@route("PUT", rf"{_PARENT}/clusters/([^/:]+)")
def _update(request: Request, parent: str, cluster: str) -> Object:
    value = request.store.get(f"{parent}/clusters/{cluster}")
    for wish, wanted in request.body["update"].items():
        if wish not in _UPDATES:
            raise ApiError(501, f"the fake can't update {wish}")
        value[_UPDATES[wish]] = wanted
    value["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"] = request.endpoint
    return _done(request, parent, "UPDATE_CLUSTER", value["selfLink"])


@route("POST", rf"{_PARENT}/clusters/([^/:]+):setResourceLabels")
def _set_labels(request: Request, parent: str, cluster: str) -> Object:
    value = request.store.get(f"{parent}/clusters/{cluster}")
    value["resourceLabels"] = request.body.get("resourceLabels", {})
    return _done(request, parent, "UPDATE_CLUSTER", value["selfLink"])


@route("DELETE", rf"{_PARENT}/clusters/([^/:]+)")
def _delete(request: Request, parent: str, cluster: str) -> Object:
    name = f"{parent}/clusters/{cluster}"
    value = request.store.delete(name)
    for key in [k for k in request.store.objects if k.startswith(f"{name}/nodePools/")]:
        del request.store.objects[key]
    return _done(request, parent, "DELETE_CLUSTER", value["selfLink"])


def _add_pool(request: Request, cluster: str, pool: Object) -> Object:
    name = f"{cluster}/nodePools/{pool['name']}"
    config = {
        "machineType": "e2-medium",
        "diskSizeGb": 100,
        "diskType": "pd-balanced",
        "imageType": "COS_CONTAINERD",
        "serviceAccount": "default",
        **pool.get("config", {}),
    }
    value = {
        "selfLink": f"{request.base}/container/v1/{name}",
        "status": "RUNNING",
        "version": _VERSION,
        "initialNodeCount": 0,
        "locations": request.store.get(cluster)["locations"],
        "management": {"autoUpgrade": True, "autoRepair": True},
        "upgradeSettings": {"maxSurge": 1, "strategy": "SURGE"},
        "maxPodsConstraint": {"maxPodsPerNode": "110"},
        "networkConfig": {"podRange": "pods", "podIpv4CidrBlock": "10.8.0.0/17"},
        "instanceGroupUrls": [],
        **pool,
        "config": config,
    }
    return request.store.create(name, value)


@route("POST", rf"{_PARENT}/clusters/([^/:]+)/nodePools")
def _create_pool(request: Request, parent: str, cluster: str) -> Object:
    pool = _add_pool(request, f"{parent}/clusters/{cluster}", request.body["nodePool"])
    return _done(request, parent, "CREATE_NODE_POOL", pool["selfLink"])


@route("GET", rf"{_PARENT}/clusters/([^/:]+)/nodePools/([^/:]+)")
def _get_pool(request: Request, parent: str, cluster: str, pool: str) -> Object:
    return request.store.get(f"{parent}/clusters/{cluster}/nodePools/{pool}")


@route("PUT", rf"{_PARENT}/clusters/([^/:]+)/nodePools/([^/:]+)")
def _update_pool(request: Request, parent: str, cluster: str, pool: str) -> Object:
    value = request.store.get(f"{parent}/clusters/{cluster}/nodePools/{pool}")
    for key in ("labels", "taints", "resourceLabels", "machineType"):
        if key in request.body:
            value["config"][key] = request.body[key]
    return _done(request, parent, "UPDATE_NODE_POOL", value["selfLink"])


@route("POST", rf"{_PARENT}/clusters/([^/:]+)/nodePools/([^/:]+)/autoscaling")
@route("POST", rf"{_PARENT}/clusters/([^/:]+)/nodePools/([^/:]+):setAutoscaling")
def _autoscale_pool(request: Request, parent: str, cluster: str, pool: str) -> Object:
    value = request.store.get(f"{parent}/clusters/{cluster}/nodePools/{pool}")
    value["autoscaling"] = request.body["autoscaling"]
    return _done(request, parent, "UPDATE_NODE_POOL", value["selfLink"])


@route("DELETE", rf"{_PARENT}/clusters/([^/:]+)/nodePools/([^/:]+)")
def _delete_pool(request: Request, parent: str, cluster: str, pool: str) -> Object:
    value = request.store.delete(f"{parent}/clusters/{cluster}/nodePools/{pool}")
    return _done(request, parent, "DELETE_NODE_POOL", value["selfLink"])

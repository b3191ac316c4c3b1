"""Filestore, Artifact Registry and Memorystore."""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from fakes.google_api.routing import Request, long_running, route
from fakes.google_api.store import ApiError, Object

_CAPACITIES = {"BASIC_HDD": (1024, 65433), "BASIC_SSD": (2560, 65433)}
_INSTANCE = r"(projects/[^/]+/locations/[^/]+)/instances/([^/:]+)"
_CREATED = "2026-01-01T00:00:00Z"


@route("POST", r"/file/v1/(projects/[^/]+/locations/[^/]+)/instances")
def _create_share(request: Request, parent: str) -> Object:
    body = request.body
    _check_share(body, parent)
    network = body["networks"][0]
    _check_network(request, network["network"])
    range_ = network.get("reservedIpRange") or "10.1.2.0/29"
    address = str(IPv4Network(range_)[2])
    name = f"{parent}/instances/{request.query['instanceId']}"
    share = request.store.create(
        name,
        {
            **body,
            "name": name,
            "state": "READY",
            "createTime": _CREATED,
            "etag": "e1",
            "protocol": "NFS_V3",
            "networks": [
                {
                    **network,
                    "reservedIpRange": range_,
                    "ipAddresses": [address],
                    "connectMode": network.get("connectMode", "DIRECT_PEERING"),
                }
            ],
        },
    )
    return long_running(request, parent, share)


@route("GET", rf"/file/v1/{_INSTANCE}")
def _get_share(request: Request, parent: str, name: str) -> Object:
    return request.store.get(f"{parent}/instances/{name}")


@route("PATCH", rf"/file/v1/{_INSTANCE}")
def _patch_share(request: Request, parent: str, name: str) -> Object:
    full = f"{parent}/instances/{name}"
    old = request.store.get(full)
    if "fileShares" in request.query["updateMask"]:
        before = int(old["fileShares"][0]["capacityGb"])
        after = int(request.body["fileShares"][0]["capacityGb"])
        if after < before:
            raise ApiError(400, f"{old['tier']} instances can't be scaled down from {before} GiB")
        _check_share({**old, **request.body}, parent)
    share = request.store.patch(full, request.body, request.query["updateMask"])
    return long_running(request, parent, share)


@route("DELETE", rf"/file/v1/{_INSTANCE}")
def _delete_share(request: Request, parent: str, name: str) -> Object:
    request.store.delete(f"{parent}/instances/{name}")
    return long_running(request, parent, {})


def _check_share(body: Object, parent: str) -> None:
    if body.get("tier") not in _CAPACITIES:
        raise ApiError(400, f"unknown tier {body.get('tier')}")
    if not re.fullmatch(r".*-[a-z]", parent):
        raise ApiError(400, f"{body['tier']} instances live in a zone, not in {parent}")
    share = body["fileShares"][0]
    low, high = _CAPACITIES[body["tier"]]
    if not low <= int(share["capacityGb"]) <= high:
        raise ApiError(400, f"capacity must be {low} to {high} GiB")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,15}", share["name"]):
        raise ApiError(400, f"share name {share['name']!r} must have at most 16 characters")


def _check_network(request: Request, network: str) -> None:
    project_networks = [key for key in request.store.objects if "/global/networks/" in key]
    short = network.rsplit("/", 1)[-1]
    if short != "default" and not any(key.endswith(f"/{short}") for key in project_networks):
        raise ApiError(400, f"network {network} was not found")


_REPOSITORY = r"(projects/[^/]+/locations/[^/]+)/repositories/([^/:]+)"


@route("POST", r"/artifactregistry/v1/(projects/[^/]+/locations/[^/]+)/repositories")
def _create_repository(request: Request, parent: str) -> Object:
    name = f"{parent}/repositories/{request.query['repository_id']}"
    repository = request.store.create(
        name,
        {
            "mode": "STANDARD_REPOSITORY",
            **request.body,
            "name": name,
            "createTime": _CREATED,
            "updateTime": _CREATED,
        },
    )
    return long_running(request, parent, repository)


@route("GET", rf"/artifactregistry/v1/{_REPOSITORY}")
def _get_repository(request: Request, parent: str, name: str) -> Object:
    return request.store.get(f"{parent}/repositories/{name}")


@route("PATCH", rf"/artifactregistry/v1/{_REPOSITORY}")
def _patch_repository(request: Request, parent: str, name: str) -> Object:
    full = f"{parent}/repositories/{name}"
    return request.store.patch(full, request.body, request.query["updateMask"])


@route("DELETE", rf"/artifactregistry/v1/{_REPOSITORY}")
def _delete_repository(request: Request, parent: str, name: str) -> Object:
    full = f"{parent}/repositories/{name}"
    request.store.delete(full)
    request.store.objects.pop(f"{full}/iamPolicy", None)
    return long_running(request, parent, {})


@route("GET", rf"/artifactregistry/v1/{_REPOSITORY}:getIamPolicy")
def _repository_policy(request: Request, parent: str, name: str) -> Object:
    request.store.get(f"{parent}/repositories/{name}")
    policy = f"{parent}/repositories/{name}/iamPolicy"
    return request.store.objects.get(policy, {"version": 1, "etag": "e0", "bindings": []})


@route("POST", rf"/artifactregistry/v1/{_REPOSITORY}:setIamPolicy")
def _set_repository_policy(request: Request, parent: str, name: str) -> Object:
    request.store.get(f"{parent}/repositories/{name}")
    policy = {**request.body["policy"], "etag": f"e{request.store.serial()}"}
    request.store.objects[f"{parent}/repositories/{name}/iamPolicy"] = policy
    return policy


@route("POST", r"/redis/v1/(projects/[^/]+/locations/[^/]+)/instances")
def _create_redis(request: Request, parent: str) -> Object:
    body = request.body
    name = f"{parent}/instances/{request.query['instanceId']}"
    encrypted = body.get("transitEncryptionMode") == "SERVER_AUTHENTICATION"
    instance = request.store.create(
        name,
        {
            **body,
            "name": name,
            "state": "READY",
            "createTime": _CREATED,
            "host": "10.1.3.3",
            "port": 6378 if encrypted else 6379,
            "currentLocationId": body.get("locationId", ""),
            "connectMode": body.get("connectMode", "DIRECT_PEERING"),
            "persistenceIamIdentity": "serviceAccount:redis@example.iam.gserviceaccount.com",
            "reservedIpRange": "10.1.3.0/29",
            "readReplicasMode": "READ_REPLICAS_DISABLED",
            "nodes": [{"id": "node-0", "zone": body.get("locationId", "")}],
            "serverCaCerts": [
                {
                    "serialNumber": "1",
                    "cert": "FAKE CERTIFICATE",
                    "createTime": _CREATED,
                    "expireTime": "2036-01-01T00:00:00Z",
                    "sha1Fingerprint": "00",
                }
            ]
            if encrypted
            else [],
        },
    )
    return long_running(request, parent, instance)


@route("GET", rf"/redis/v1/{_INSTANCE}")
def _get_redis(request: Request, parent: str, name: str) -> Object:
    return request.store.get(f"{parent}/instances/{name}")


@route("GET", rf"/redis/v1/{_INSTANCE}/authString")
def _get_redis_password(request: Request, parent: str, name: str) -> Object:
    request.store.get(f"{parent}/instances/{name}")
    return {"authString": "managed-redis-password"}


@route("PATCH", rf"/redis/v1/{_INSTANCE}")
def _patch_redis(request: Request, parent: str, name: str) -> Object:
    full = f"{parent}/instances/{name}"
    instance = request.store.patch(full, request.body, request.query["updateMask"])
    return long_running(request, parent, instance)


@route("DELETE", rf"/redis/v1/{_INSTANCE}")
def _delete_redis(request: Request, parent: str, name: str) -> Object:
    request.store.delete(f"{parent}/instances/{name}")
    return long_running(request, parent, {})

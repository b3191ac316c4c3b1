"""Compute Engine networks: VPC, subnets, routers with address translation."""

from __future__ import annotations

import json

from fakes.google_api.routing import Request, poll, route
from fakes.google_api.store import ApiError, Object

_GLOBAL = r"/compute/v1/(projects/[^/]+/global)"
_REGION = r"/compute/v1/(projects/[^/]+/regions/[^/]+)"
_CREATED = "2026-01-01T00:00:00.000-08:00"


def _done(request: Request, scope: str, target: str) -> Object:
    number = request.store.serial()
    name = f"operation-{number}"
    link = f"{request.base}/compute/v1/{scope}/operations/{name}"
    common = {"kind": "compute#operation", "name": name, "targetLink": target, "selfLink": link}
    if "/regions/" in scope:
        common["region"] = f"{request.base}/compute/v1/{scope}"
    error = {"errors": [{"code": "RESOURCE_OPERATION_ERROR", "message": request.failure}]}
    return request.operation(
        name,
        {**common, "status": "RUNNING", "progress": 0},
        {**common, "status": "DONE", "progress": 100},
        {**common, "status": "DONE", "progress": 100, "error": error, "httpErrorStatusCode": 500},
    )


@route("GET", rf"(?:{_GLOBAL}|{_REGION})/operations/([^/]+)")
@route("POST", rf"(?:{_GLOBAL}|{_REGION})/operations/([^/]+)/wait")
def _operation(request: Request, _global: str, _region: str, name: str) -> Object:
    return poll(request.store, name)


def _make(request: Request, scope: str, collection: str, more: Object) -> Object:
    name = f"{scope}/{collection}/{request.body['name']}"
    link = f"{request.base}/compute/v1/{name}"
    value = {
        "id": str(10**17 + request.store.serial()),
        "selfLink": link,
        "creationTimestamp": _CREATED,
        **more,
        **request.body,
    }
    request.store.create(name, value)
    return _done(request, scope, link)


def _change(request: Request, scope: str, collection: str, name: str) -> Object:
    value = request.store.get(f"{scope}/{collection}/{name}")
    value.update(request.body)
    return _done(request, scope, value["selfLink"])


def _remove(request: Request, scope: str, collection: str, name: str) -> Object:
    full = f"{scope}/{collection}/{name}"
    value = request.store.get(full)
    users = [
        other
        for other, item in request.store.objects.items()
        if other != full and f'{collection}/{name}"' in json.dumps(item)
    ]
    if users:
        message = f"The {collection} resource '{full}' is already being used by '{users[0]}'"
        raise ApiError(400, message, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE")
    request.store.delete(full)
    return _done(request, scope, value["selfLink"])


@route("POST", rf"{_GLOBAL}/networks")
def _create_network(request: Request, scope: str) -> Object:
    return _make(request, scope, "networks", {"routingConfig": {"routingMode": "REGIONAL"}})


@route("GET", rf"{_GLOBAL}/(networks)/([^/]+)")
@route("GET", rf"{_REGION}/(subnetworks|routers)/([^/]+)")
def _get(request: Request, scope: str, collection: str, name: str) -> Object:
    return request.store.get(f"{scope}/{collection}/{name}")


@route("PATCH", rf"{_GLOBAL}/(networks)/([^/]+)")
@route("PATCH", rf"{_REGION}/(subnetworks|routers)/([^/]+)")
def _patch(request: Request, scope: str, collection: str, name: str) -> Object:
    return _change(request, scope, collection, name)


@route("DELETE", rf"{_GLOBAL}/(networks)/([^/]+)")
@route("DELETE", rf"{_REGION}/(subnetworks|routers)/([^/]+)")
def _delete(request: Request, scope: str, collection: str, name: str) -> Object:
    return _remove(request, scope, collection, name)


@route("POST", rf"{_REGION}/subnetworks")
def _create_subnetwork(request: Request, scope: str) -> Object:
    more = {
        "fingerprint": "f1",
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "gatewayAddress": "10.0.0.1",
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "region": f"{request.base}/compute/v1/{scope}",
    }
    return _make(request, scope, "subnetworks", more)


@route("POST", rf"{_REGION}/routers")
def _create_router(request: Request, scope: str) -> Object:
    return _make(request, scope, "routers", {"region": f"{request.base}/compute/v1/{scope}"})

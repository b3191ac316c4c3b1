"""Projects, their IAM policy, enabled services and service accounts."""

from __future__ import annotations

from fakes.google_api.routing import Request, route
from fakes.google_api.store import PROJECT_NUMBER, ApiError, Object


@route("GET", r"/cloudresourcemanager/v1/projects/([^/:]+)")
def _project(_request: Request, project: str) -> Object:
    return {
        "projectId": project,
        "projectNumber": PROJECT_NUMBER,
        "lifecycleState": "ACTIVE",
        "name": project,
    }


@route("POST", r"/cloudresourcemanager/v1/(projects/[^/:]+):getIamPolicy")
def _policy(request: Request, project: str) -> Object:
    empty = {"version": 1, "etag": "e0", "bindings": []}
    return request.store.objects.get(f"{project}/iamPolicy", empty)


@route("POST", r"/cloudresourcemanager/v1/(projects/[^/:]+):setIamPolicy")
def _set_policy(request: Request, project: str) -> Object:
    current = _policy(request, project)
    wanted = request.body["policy"]
    if wanted.get("etag") not in (None, current["etag"]):
        raise ApiError(409, "There were concurrent policy changes", "ABORTED")
    policy = {**wanted, "etag": f"e{request.store.serial()}"}
    if policy.get("bindings"):
        request.store.objects[f"{project}/iamPolicy"] = policy
    else:
        request.store.objects.pop(f"{project}/iamPolicy", None)
    return policy


def _service(name: str) -> Object:
    return {"name": name, "parent": f"projects/{PROJECT_NUMBER}", "state": "ENABLED"}


def _finished(request: Request) -> Object:
    return {"name": f"operations/acf.{request.store.serial()}", "done": True, "response": {}}


@route("GET", r"/serviceusage/v1/projects/([^/]+)/services")
def _services(request: Request, project: str) -> Object:
    enabled = request.store.objects.get(f"services/{project}", {"names": []})["names"]
    return {"services": [_service(name) for name in enabled]}


@route("POST", r"/serviceusage/v1/projects/([^/]+)/services:batchEnable")
def _enable_many(request: Request, project: str) -> Object:
    enabled = request.store.objects.setdefault(f"services/{project}", {"names": []})["names"]
    for service in request.body["serviceIds"]:
        name = f"projects/{PROJECT_NUMBER}/services/{service}"
        if name not in enabled:
            enabled.append(name)
    return _finished(request)


@route("POST", r"/serviceusage/v1/projects/([^/]+)/services/([^/:]+):enable")
def _enable(request: Request, project: str, service: str) -> Object:
    request.body["serviceIds"] = [service]
    return dict(_enable_many(request, project))


@route("POST", r"/serviceusage/v1/projects/([^/]+)/services/([^/:]+):disable")
def _disable(request: Request, project: str, service: str) -> Object:
    enabled = request.store.get(f"services/{project}")["names"]
    enabled.remove(f"projects/{PROJECT_NUMBER}/services/{service}")
    return _finished(request)


@route("POST", r"/iam/v1/projects/([^/]+)/serviceAccounts")
def _create_account(request: Request, project: str) -> Object:
    email = f"{request.body['accountId']}@{project}.iam.gserviceaccount.com"
    name = f"projects/{project}/serviceAccounts/{email}"
    account = {
        "name": name,
        "projectId": project,
        "uniqueId": str(10**20 + request.store.serial()),
        "email": email,
        **request.body.get("serviceAccount", {}),
    }
    return request.store.create(name, account)


@route("GET", r"/iam/v1/(projects/[^/]+/serviceAccounts/[^/:]+)")
def _account(request: Request, name: str) -> Object:
    return request.store.get(name)


@route("PATCH", r"/iam/v1/(projects/[^/]+/serviceAccounts/[^/:]+)")
def _change_account(request: Request, name: str) -> Object:
    return request.store.patch(name, request.body["serviceAccount"], request.body["updateMask"])


@route("DELETE", r"/iam/v1/(projects/[^/]+/serviceAccounts/[^/:]+)")
def _delete_account(request: Request, name: str) -> Object:
    request.store.delete(name)
    return {}

"""Pods that the tests themselves make."""

from __future__ import annotations

from typing import Any

from node.kubernetes_node import LABELS


def restricted_pod(
    name: str,
    image: str,
    user: tuple[int, int],
    claims: dict[str, str],
    command: list[str] | None = None,
    args: list[str] | None = None,
) -> dict[str, Any]:
    """Return a pod that the restricted Pod Security Standard admits, on the node's Spot capacity.

    Args:
        name: also its label `app`.
        image: reference of the image.
        user: user and group that it runs as.
        claims: claim to the directory it is mounted at.
        command: replaces the image's entrypoint.
        args: arguments of that.
    """
    amounts = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"}
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": LABELS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user[0],
                "runAsGroup": user[1],
                "fsGroup": user[1],
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "args": args,
                    "resources": {"requests": amounts, "limits": amounts},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - of the container
                        *({"name": claim, "mountPath": path} for claim, path in claims.items()),
                    ],
                }
            ],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                *(
                    {"name": claim, "persistentVolumeClaim": {"claimName": claim}}
                    for claim in claims
                ),
            ],
        },
    }

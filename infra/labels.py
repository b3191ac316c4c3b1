"""Labels that every resource of a stack carries, and those that admit a pod to Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    from pulumi_kubernetes.meta.v1 import LabelSelectorArgsDict

WORKER, COMMAND = "workload", "workload-command"
"""Label `app` of the pods that may reach Redis: the Job's, and those of operators' commands."""

CLIENTS: LabelSelectorArgsDict = {
    "match_expressions": [{"key": "app", "operator": "In", "values": [WORKER, COMMAND]}]
}


def google_labels(*, production: bool) -> dict[str, str]:
    """Return the labels of a Google resource; the policy demands them."""
    return {
        "app": "batch-aiml",
        "stack": pulumi.get_stack(),
        "environment": "production" if production else "development",
        "managed-by": "pulumi",
    }


def kubernetes_labels(*, production: bool) -> dict[str, str]:
    """Return the labels of a Kubernetes object; the policy demands them."""
    return {
        "app.kubernetes.io/part-of": "batch-aiml",
        "app.kubernetes.io/managed-by": "pulumi",
        "batch-aiml/stack": pulumi.get_stack(),
        "batch-aiml/environment": "production" if production else "development",
    }

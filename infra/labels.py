"""Labels that every resource of a stack carries."""

from __future__ import annotations

import pulumi


def google_labels(*, production: bool) -> dict[str, str]:
    """Labels of a Google resource; the policy pack demands them."""
    return {
        "app": "batch-aiml",
        "stack": pulumi.get_stack(),
        "environment": "production" if production else "development",
        "managed-by": "pulumi",
    }


def kubernetes_labels(*, production: bool) -> dict[str, str]:
    """Labels of a Kubernetes object; the policy pack demands them."""
    return {
        "app.kubernetes.io/part-of": "batch-aiml",
        "app.kubernetes.io/managed-by": "pulumi",
        "batch-aiml/stack": pulumi.get_stack(),
        "batch-aiml/environment": "production" if production else "development",
    }

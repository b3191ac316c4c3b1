"""What to type after ``pulumi up``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.volume import CLAIM, MOUNT

if TYPE_CHECKING:
    from infra.settings import Settings


def next_steps(settings: Settings, job_name: pulumi.Output[str]) -> pulumi.Output[str]:
    """The stack output ``next_steps``: how to reach the cluster, watch the Job and go on."""
    reach = (
        f"gcloud container clusters get-credentials {settings.cluster_name} "
        f"--location {settings.location} --project {settings.project} --dns-endpoint\n"
        if settings.on_google
        else ""
    )
    return pulumi.Output.concat(
        reach,
        f"kubectl -n {settings.namespace} logs -f job/",
        job_name,
        f"\n# The Job waits for datasets: copy them to {MOUNT}/datasets on claim {CLAIM}, then\n"
        "# push their paths onto the Redis list datasets. A new run: pulumi config set run 2\n",
    )

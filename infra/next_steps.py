"""What to type after `pulumi up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.volume import MOUNT

if TYPE_CHECKING:
    from infra.settings import Settings


def next_steps(settings: Settings) -> str:
    """Return the output `next_steps`: the commands that fill the stack, watch it and empty it."""
    steps = [
        ("scripts/transfer-datasets.sh", f"copies datasets/ to {MOUNT}/datasets"),
        ("scripts/queue-jobs.sh", "queues them; the Job waits for that"),
        ("scripts/status.sh", "queue, workers, cost so far, and what is wrong"),
        ("scripts/logs.sh", "the logs of the workers"),
        ("scripts/fetch-results.sh", "copies model, ledger and reports to results/"),
        ("pulumi config set run 2 && pulumi up", "another run, once later datasets are queued"),
    ]
    lines = [f"{command:<38}# {what}" for command, what in steps]
    if settings.on_google:
        lines.append(
            "# kubectl of your own: gcloud container clusters get-credentials "
            f"{settings.cluster_name} --location {settings.location} "
            f"--project {settings.project} --dns-endpoint"
        )
    return "\n".join(lines) + "\n"

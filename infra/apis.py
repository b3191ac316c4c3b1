"""The Google Cloud APIs that the stack uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp

if TYPE_CHECKING:
    from infra.settings import Settings

APIS = ("artifactregistry", "cloudresourcemanager", "compute", "container", "file", "iam")


class EnabledApis(pulumi.ComponentResource):
    """Enables the APIs; destroying the stack leaves them enabled, since others may use them."""

    services: list[gcp.projects.Service]

    def __init__(
        self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("batch-aiml:index:EnabledApis", name, None, opts)
        managed = ("redis",) if settings.redis_mode == "memorystore" else ()
        self.services = [
            gcp.projects.Service(
                f"{name}-{api}",
                service=f"{api}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for api in (*APIS, *managed)
        ]
        self.register_outputs({})

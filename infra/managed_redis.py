"""The work queue's Redis as Google's managed service: Memorystore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp
from pulumi_kubernetes.core.v1 import Secret

from infra.labels import google_labels, kubernetes_labels
from infra.redis import DIRECTORY, PASSWORD, SECRET, Queue, fingerprint_of

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.platform import GoogleParts
    from infra.settings import Settings

AUTHORITY = "ca.pem"


class ManagedRedis(pulumi.ComponentResource):
    """Memorystore for Redis with AUTH and TLS; its password reaches the pods by the same Secret.

    It keeps hourly snapshots, no append-only file: after the loss of an instance, what was queued
    since the last one is restored by `workload queue rebuild`.

    Attributes:
        queue: how a worker reaches it.
    """

    queue: Queue

    def __init__(
        self,
        name: str,
        settings: Settings,
        google: GoogleParts,
        provider: kubernetes.Provider,
        namespace: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:ManagedRedis", name, None, opts)
        instance = gcp.redis.Instance(
            f"{name}-instance",
            tier=settings.memorystore_tier,
            memory_size_gb=settings.memorystore_gib,
            region=settings.region,
            location_id=settings.zone,
            redis_version="REDIS_7_2",
            authorized_network=pulumi.Output.concat(
                f"projects/{settings.project}/global/networks/", google.network.network
            ),
            connect_mode="DIRECT_PEERING",
            auth_enabled=True,
            transit_encryption_mode="SERVER_AUTHENTICATION",
            redis_configs={"maxmemory-policy": "noeviction"},
            persistence_config=gcp.redis.InstancePersistenceConfigArgs(
                persistence_mode="RDB", rdb_snapshot_period="ONE_HOUR"
            ),
            deletion_protection=settings.protect,
            labels=google_labels(production=settings.production),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=google.apis.services,
                protect=settings.protect,
                additional_secret_outputs=["authString"],
            ),
        )
        authority = instance.server_ca_certs.apply(
            lambda certificates: "\n".join(c.cert or "" for c in certificates or [])
        )
        password: pulumi.Output[str] = pulumi.Output.secret(instance.auth_string)
        Secret(
            f"{name}-secret",
            metadata={
                "name": SECRET,
                "namespace": namespace,
                "labels": kubernetes_labels(production=settings.production),
            },
            string_data={PASSWORD: password, AUTHORITY: authority},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        address = pulumi.Output.concat(instance.host, ":", instance.port.apply(str))
        self.queue = Queue(
            address=address,
            # The authority is this instance's own, and its certificate names no host.
            url=pulumi.Output.concat(
                "rediss://",
                address,
                f"/0?ssl_ca_certs={DIRECTORY}/{AUTHORITY}&ssl_check_hostname=False",
            ),
            fingerprint=fingerprint_of(pulumi.Output.concat(password, authority)),
            cidr=pulumi.Output.concat(instance.host, "/32"),
            port=instance.port,
            authority=True,
        )
        self.register_outputs({"address": address})

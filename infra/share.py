"""The shared file system: a Filestore instance in the cluster's network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp

from infra.labels import google_labels

if TYPE_CHECKING:
    from infra.network import Network
    from infra.settings import Settings

TIMEOUT = "30m"
"""The provider would wait longer for an operation that takes 3 to 5 minutes."""


class Share(pulumi.ComponentResource):
    """A Filestore instance with one NFS share.

    Attributes:
        ip: address that the volume mounts.
        volume_handle: what the Filestore CSI driver knows an existing instance by.
    """

    ip: pulumi.Output[str]
    volume_handle: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        network: Network,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:Share", name, None, opts)
        grow_only = pulumi.ResourceHook(
            "filestore-grows-only",
            _refuse_to_shrink,
            opts=pulumi.ResourceHookOptions(on_dry_run=True),
        )
        instance = gcp.filestore.Instance(
            f"{name}-filestore",
            name=settings.filestore_name,
            location=settings.zone,
            tier=settings.filestore_tier,
            file_shares=gcp.filestore.InstanceFileSharesArgs(
                name=settings.filestore_share,
                capacity_gb=settings.filestore_capacity_gib,
                nfs_export_options=_nodes_only(settings) if network.private else None,
            ),
            networks=[
                gcp.filestore.InstanceNetworkArgs(
                    network=network.network,
                    modes=["MODE_IPV4"],
                    connect_mode="DIRECT_PEERING",
                    reserved_ip_range=settings.filestore_reserved_ip_range or None,
                )
            ],
            labels=google_labels(production=settings.production),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.protect,
                delete_before_replace=True,  # its name is fixed
                custom_timeouts=pulumi.CustomTimeouts(
                    create=TIMEOUT, update=TIMEOUT, delete=TIMEOUT
                ),
                hooks=pulumi.ResourceHookBinding(before_update=[grow_only]),
            ),
        )
        self.ip = instance.networks.apply(lambda networks: (networks[0].ip_addresses or [""])[0])
        self.volume_handle = pulumi.Output.concat(
            "modeInstance/", instance.location, "/", instance.name, "/", settings.filestore_share
        )
        self.register_outputs({"ip": self.ip})


def _nodes_only(
    settings: Settings,
) -> list[gcp.filestore.InstanceFileSharesNfsExportOptionArgs]:
    """Return who may mount the share in a network of its own: its nodes, as root for the driver."""
    return [
        gcp.filestore.InstanceFileSharesNfsExportOptionArgs(
            ip_ranges=[settings.subnet_range],
            access_mode="READ_WRITE",
            squash_mode="NO_ROOT_SQUASH",
        )
    ]


def _refuse_to_shrink(args: pulumi.ResourceHookArgs) -> None:
    """Raise ValueError when an update would make the share smaller."""
    before, after = (
        int(inputs["fileShares"]["capacityGb"])
        for inputs in (args.old_inputs or {}, args.new_inputs or {})
    )
    if after < before:
        raise ValueError(
            f"batch-aiml:filestore_capacity_gib = {after}: must be at least {before}, what the "
            "share has now: a BASIC share can only grow; copy the data away and replace the share"
        )

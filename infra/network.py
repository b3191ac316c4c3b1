"""The network that cluster and share live in: one that exists, or a private one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp

if TYPE_CHECKING:
    from infra.settings import Settings


class Network(pulumi.ComponentResource):
    """A VPC whose nodes have no public address: Google's APIs by private access, the rest by NAT.

    With `network` set to a name, that network is used as it is and nothing is created.

    Attributes:
        network: name of the VPC.
        subnetwork: name of its subnet; None lets GKE take the region's default.
        private: whether nodes have private addresses only.
    """

    network: pulumi.Output[str]
    subnetwork: pulumi.Output[str] | None
    private: bool

    def __init__(
        self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("batch-aiml:index:Network", name, None, opts)
        self.private = settings.network == "new"
        if self.private:
            self._create(name, settings)
        else:
            self.network = pulumi.Output.from_input(settings.network)
            self.subnetwork = None
        self.register_outputs({"network": self.network})

    def _create(self, name: str, settings: Settings) -> None:
        child = pulumi.ResourceOptions(parent=self)
        vpc = gcp.compute.Network(f"{name}-vpc", auto_create_subnetworks=False, opts=child)
        subnet = gcp.compute.Subnetwork(
            f"{name}-nodes",
            network=vpc.id,
            region=settings.region,
            ip_cidr_range=settings.subnet_range,
            private_ip_google_access=True,
            opts=child,
        )
        router = gcp.compute.Router(
            f"{name}-router", network=vpc.id, region=settings.region, opts=child
        )
        nat = gcp.compute.RouterNat(
            f"{name}-nat",
            router=router.name,
            region=settings.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[
                gcp.compute.RouterNatSubnetworkArgs(
                    name=subnet.id, source_ip_ranges_to_nats=["ALL_IP_RANGES"]
                )
            ],
            opts=child,
        )
        self.network = vpc.name
        # A node that starts before the gateway is there can't pull its images.
        self.subnetwork = pulumi.Output.all(subnet.name, nat.id).apply(lambda made: str(made[0]))

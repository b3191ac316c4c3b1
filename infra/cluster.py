"""The Kubernetes cluster: GKE Autopilot, GKE Standard with a Spot pool, or one that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes

from infra.labels import google_labels

if TYPE_CHECKING:
    from infra.network import Network
    from infra.nodes import NodeIdentity
    from infra.settings import Settings

SPOT_LABEL = "cloud.google.com/gke-spot"
"""Label that GKE puts on Spot nodes; on Autopilot, selecting it makes one."""

POOL_LABEL = "batch-aiml/pool"
"""Label of a Standard cluster's node pools: `system` or `spot`."""

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GkeCluster(pulumi.ComponentResource):
    """A GKE cluster whose control plane is reached by its DNS endpoint alone, guarded by IAM.

    Attributes:
        name, location: what `gcloud container clusters get-credentials` needs.
        kubeconfig: secret; asks `gke-gcloud-auth-plugin` for a token, holds none itself.
        provider: creates Kubernetes objects in the cluster.
    """

    name: pulumi.Output[str]
    location: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    provider: kubernetes.Provider

    def __init__(
        self,
        name: str,
        settings: Settings,
        network: Network,
        nodes: NodeIdentity,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:GkeCluster", name, None, opts)
        autopilot = settings.cluster == "autopilot"
        cluster = gcp.container.Cluster(
            f"{name}-gke",
            name=settings.cluster_name,
            location=settings.location,
            enable_autopilot=autopilot or None,
            cluster_autoscaling=_autopilot_nodes(nodes) if autopilot else None,
            initial_node_count=None if autopilot else 1,
            remove_default_node_pool=None if autopilot else True,
            node_config=None if autopilot else _first_node(nodes),
            datapath_provider=None if autopilot else "ADVANCED_DATAPATH",
            addons_config=None if autopilot else _filestore_driver(),
            workload_identity_config=None if autopilot else _identity_pool(settings.project),
            network=network.network,
            subnetwork=network.subnetwork,
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(),
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True
            )
            if network.private
            else None,
            control_plane_endpoints_config=gcp.container.ClusterControlPlaneEndpointsConfigArgs(
                dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
                    allow_external_traffic=True
                ),
                ip_endpoints_config=gcp.container.ClusterControlPlaneEndpointsConfigIpEndpointsConfigArgs(
                    enabled=False
                ),
            ),
            release_channel=gcp.container.ClusterReleaseChannelArgs(
                channel=settings.release_channel
            ),
            deletion_protection=settings.protect,
            resource_labels=google_labels(production=settings.production),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.protect,
                delete_before_replace=True,
                # That of a pool which is gone when the cluster is up.
                ignore_changes=None if autopilot else ["nodeConfig"],
            ),
        )
        pools = [] if autopilot else self._pools(name, settings, cluster, nodes)
        endpoint = cluster.control_plane_endpoints_config.apply(_dns_endpoint)
        self.name = cluster.name
        self.location = cluster.location
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.json_dumps(_kubeconfig(settings.cluster_name, endpoint))
        )
        self.provider = kubernetes.Provider(
            f"{name}-provider",
            kubeconfig=self.kubeconfig,
            # Google gives each cluster an endpoint of its own: another one is another cluster.
            cluster_identifier=endpoint,
            # What an update that was cut off has made is taken over; nobody else makes these
            # objects in a cluster of the stack's own.
            upsert_existing_objects=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=pools),
        )
        self.register_outputs({"name": self.name, "location": self.location})

    def _pools(
        self, name: str, settings: Settings, cluster: gcp.container.Cluster, nodes: NodeIdentity
    ) -> list[gcp.container.NodePool]:
        def pool(role: str, machine: str, autoscaling: tuple[int, int]) -> gcp.container.NodePool:
            spot = role == "spot"
            return gcp.container.NodePool(
                f"{name}-{role}",
                cluster=cluster.id,
                location=settings.location,
                autoscaling=gcp.container.NodePoolAutoscalingArgs(
                    min_node_count=autoscaling[0], max_node_count=autoscaling[1]
                ),
                node_config=gcp.container.NodePoolNodeConfigArgs(
                    machine_type=machine,
                    spot=spot,
                    service_account=nodes.email,
                    oauth_scopes=[SCOPE],
                    labels={POOL_LABEL: role},
                    resource_labels=google_labels(production=settings.production),
                    taints=[
                        gcp.container.NodePoolNodeConfigTaintArgs(
                            key=SPOT_LABEL, value="true", effect="NO_SCHEDULE"
                        )
                    ]
                    if spot
                    else [],
                    shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                        enable_secure_boot=True, enable_integrity_monitoring=True
                    ),
                    workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                        mode="GKE_METADATA"
                    ),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )

        return [
            pool("system", settings.system_machine_type, (1, 2)),
            pool("spot", settings.spot_machine_type, (0, settings.spot_max_nodes)),
        ]


class ExistingCluster(pulumi.ComponentResource):
    """The cluster of the operator's own kubeconfig; nothing of it is managed.

    Attributes:
        provider: creates Kubernetes objects in the cluster.
    """

    provider: kubernetes.Provider

    def __init__(
        self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("batch-aiml:index:ExistingCluster", name, None, opts)
        self.provider = kubernetes.Provider(
            f"{name}-provider",
            context=settings.kube_context or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _first_node(nodes: NodeIdentity) -> gcp.container.ClusterNodeConfigArgs:
    # Google makes a pool first, which is removed at once: not as the project's default account.
    return gcp.container.ClusterNodeConfigArgs(service_account=nodes.email, oauth_scopes=[SCOPE])


def _autopilot_nodes(nodes: NodeIdentity) -> gcp.container.ClusterClusterAutoscalingArgs:
    # Autopilot reads the nodes' identity here; in node_config it would propose a replacement with
    # every update.
    defaults = gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsArgs(
        service_account=nodes.email, oauth_scopes=[SCOPE]
    )
    return gcp.container.ClusterClusterAutoscalingArgs(auto_provisioning_defaults=defaults)


def _filestore_driver() -> gcp.container.ClusterAddonsConfigArgs:
    driver = gcp.container.ClusterAddonsConfigGcpFilestoreCsiDriverConfigArgs(enabled=True)
    return gcp.container.ClusterAddonsConfigArgs(gcp_filestore_csi_driver_config=driver)


def _identity_pool(project: str) -> gcp.container.ClusterWorkloadIdentityConfigArgs:
    return gcp.container.ClusterWorkloadIdentityConfigArgs(workload_pool=f"{project}.svc.id.goog")


def _dns_endpoint(
    config: gcp.container.outputs.ClusterControlPlaneEndpointsConfig | None,
) -> str:
    if config is None or config.dns_endpoint_config is None:
        return ""
    return config.dns_endpoint_config.endpoint or ""


def _kubeconfig(name: str, endpoint: pulumi.Output[str]) -> dict[str, object]:
    """Return a kubeconfig for the DNS endpoint, whose certificate is public: no authority in it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": pulumi.Output.concat("https://", endpoint)}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [
            {
                "name": name,
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "gke-gcloud-auth-plugin",
                        "installHint": "Install gke-gcloud-auth-plugin: "
                        "gcloud components install gke-gcloud-auth-plugin",
                        "interactiveMode": "IfAvailable",
                        "provideClusterInfo": True,
                    }
                },
            }
        ],
    }

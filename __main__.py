"""The whole stack: settings in, components wired, outputs out."""

import pulumi

from infra import settings as configuration
from infra.apis import EnabledApis
from infra.cluster import ExistingCluster, GkeCluster
from infra.command import CommandTemplate
from infra.estimate import estimate
from infra.image import ImageRepository, WorkloadImage
from infra.job import TrainingJob
from infra.managed_redis import ManagedRedis
from infra.namespace import WorkloadNamespace
from infra.network import Network
from infra.next_steps import next_steps
from infra.nodes import NodeIdentity
from infra.platform import GoogleParts, Platform
from infra.redis import ClusterRedis
from infra.share import Share
from infra.volume import MOUNT, ShareVolume
from infra.workload_pod import Workload
from policy.guard import enforce
from policy.pack import BUDGET_DEFAULTS

settings = configuration.load()
cost = estimate(settings)
pulumi.log.info(cost.line())
enforce({limit: getattr(settings, limit) for limit in BUDGET_DEFAULTS})


def google_cloud() -> Platform:
    """Declare APIs, network, cluster, Filestore share and image repository of a project."""
    apis = EnabledApis("apis", settings)
    enabled = pulumi.ResourceOptions(depends_on=apis.services)
    network = Network("network", settings, enabled)
    nodes = NodeIdentity("nodes", settings, enabled)
    share = Share("share", settings, network, enabled)
    cluster = GkeCluster("cluster", settings, network, nodes, enabled)
    repository = None if settings.image else ImageRepository("images", settings, nodes, enabled)
    return Platform(
        cluster.provider,
        registry=repository.address if repository else "",
        google=GoogleParts(apis, network, share),
        outputs={
            "filestore_ip": share.ip,
            "cluster_name": cluster.name,
            "cluster_location": cluster.location,
            "kubeconfig": cluster.kubeconfig,
        },
    )


def existing_cluster() -> Platform:
    """Take the cluster of your kubeconfig; declare nothing on Google Cloud."""
    return Platform(
        ExistingCluster("cluster", settings).provider,
        settings.image_repository,
        outputs={"kube_context": pulumi.Output.from_input(settings.kube_context)},
    )


platform = google_cloud() if settings.on_google else existing_cluster()
google = platform.google

namespace = WorkloadNamespace("workload", settings, platform.provider)
volume = ShareVolume(
    "share-volume", settings, platform.provider, namespace.name, google.share if google else None
)
redis: ClusterRedis | ManagedRedis
if google and settings.redis_mode == "memorystore":
    redis = ManagedRedis("redis", settings, google, platform.provider, namespace.name)
else:
    redis = ClusterRedis("redis", settings, platform.provider, namespace.name)

if settings.image:
    image = digest = pulumi.Output.from_input(settings.image)
else:
    built = WorkloadImage("workload", platform.registry)
    image, digest = built.reference, built.digest
workload = Workload(image=image, digest=digest, claim=volume.claim, queue=redis.queue)
job = TrainingJob(
    "training",
    settings,
    platform.provider,
    namespace.name,
    workload,
    pulumi.ResourceOptions(depends_on=[redis]),
)
CommandTemplate("command", settings, platform.provider, namespace.name, workload)

for name, value in platform.outputs.items():
    pulumi.export(name, value)
pulumi.export("namespace", namespace.name)
pulumi.export("redis_service", redis.queue.address)
pulumi.export("job_name", job.job_name)
pulumi.export("image", image)
pulumi.export("share_mount", MOUNT)
pulumi.export("estimated_monthly_usd", cost.as_output())
pulumi.export("estimated_hourly_usd", cost.hourly())
pulumi.export("next_steps", next_steps(settings))

"""The workload's image: built from `workload/` and pinned by the digest that the build gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_docker_build as docker_build
import pulumi_gcp as gcp

from infra.labels import google_labels

if TYPE_CHECKING:
    from infra.nodes import NodeIdentity
    from infra.settings import Settings

KEPT_VERSIONS = 10
UNTAGGED_AFTER = "30d"


class ImageRepository(pulumi.ComponentResource):
    """A repository in Artifact Registry that the cluster's nodes may read, and old images leave.

    Attributes:
        address: what image names in it start with.
    """

    address: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        nodes: NodeIdentity,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:ImageRepository", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        repository = gcp.artifactregistry.Repository(
            f"{name}-repository",
            repository_id=settings.cluster_name,
            location=settings.region,
            format="DOCKER",
            description="Images of the batch-aiml workload",
            cleanup_policies=[
                gcp.artifactregistry.RepositoryCleanupPolicyArgs(
                    id="keep-recent",
                    action="KEEP",
                    most_recent_versions=gcp.artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs(
                        keep_count=KEPT_VERSIONS
                    ),
                ),
                gcp.artifactregistry.RepositoryCleanupPolicyArgs(
                    id="delete-untagged",
                    action="DELETE",
                    condition=gcp.artifactregistry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="UNTAGGED", older_than=UNTAGGED_AFTER
                    ),
                ),
            ],
            labels=google_labels(production=settings.production),
            opts=child,
        )
        reader = gcp.artifactregistry.RepositoryIamMember(
            f"{name}-reader",
            repository=repository.name,
            location=repository.location,
            role="roles/artifactregistry.reader",
            member=nodes.member,
            opts=child,
        )
        host = f"{settings.region}-docker.pkg.dev"
        # Whoever has the address may count on the nodes being able to pull.
        self.address = pulumi.Output.all(repository.repository_id, reader.id).apply(
            lambda made: f"{host}/{settings.project}/{made[0]}"
        )
        self.register_outputs({"address": self.address})


class WorkloadImage(pulumi.ComponentResource):
    """The image `workload`, built when its files change and never in a preview.

    Attributes:
        reference: name with digest where it was pushed; the bare tag in a local Docker engine.
        digest: digest of the image.
    """

    reference: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        repository: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:WorkloadImage", name, None, opts)
        push = repository != ""
        tag = (
            pulumi.Output.concat(repository, "/workload:", pulumi.get_stack())
            if push
            else f"batch-aiml/workload:{pulumi.get_stack()}"
        )
        image = docker_build.Image(
            f"{name}-image",
            context=docker_build.BuildContextArgs(location="workload"),
            dockerfile=docker_build.DockerfileArgs(location="workload/Dockerfile"),
            platforms=[docker_build.Platform.LINUX_AMD64],
            tags=[tag],
            push=push,
            load=not push or None,
            build_on_preview=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.reference = image.ref if push else pulumi.Output.from_input(tag)
        self.digest = image.digest
        self.register_outputs({"reference": self.reference})

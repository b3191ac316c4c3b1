"""The identity of the cluster's machines: a service account with what a node needs, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp

if TYPE_CHECKING:
    from infra.settings import Settings


class NodeIdentity(pulumi.ComponentResource):
    """Service account of the nodes, instead of the project's default with its editor role.

    With `node_service_account` set, that one is used as it is and nothing is created.

    Attributes:
        email: address of the account, known once its role is granted.
        member: the account as a member of IAM policies.
    """

    email: pulumi.Output[str]
    member: pulumi.Output[str]

    def __init__(
        self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("batch-aiml:index:NodeIdentity", name, None, opts)
        if settings.node_service_account:
            self.email = pulumi.Output.from_input(settings.node_service_account)
            self.member = pulumi.Output.concat("serviceAccount:", self.email)
        else:
            self._create(name, settings)
        self.register_outputs({"email": self.email})

    def _create(self, name: str, settings: Settings) -> None:
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            account_id=f"{settings.cluster_name[:24]}-nodes",
            display_name=f"Nodes of {settings.cluster_name}",
            opts=child,
        )
        self.member = account.member
        role = gcp.projects.IAMMember(
            f"{name}-role",
            project=settings.project,
            role="roles/container.defaultNodeServiceAccount",
            member=account.member,
            opts=child,
        )
        self.email = pulumi.Output.all(account.email, role.id).apply(lambda made: str(made[0]))

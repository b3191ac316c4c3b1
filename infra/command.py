"""The template that `scripts/` makes an operator's pods from, as short-lived as their command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.core.v1 import PodTemplate

from infra.labels import COMMAND, kubernetes_labels
from infra.pods import resources
from infra.workload_pod import pod, template

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.settings import Settings
    from infra.workload_pod import Workload

NAME = "workload-command"
"""What `scripts/cluster.bash` looks for."""

CPU, MEMORY = "250m", "512Mi"
"""The least that an Autopilot pod may have."""

DEADLINE_SECONDS = 3600
"""How long a pod lives whose script could not remove it, unless the script says otherwise."""


class CommandTemplate(pulumi.ComponentResource):
    """A PodTemplate that starts nothing: the workers' image, share and queue, no Spot capacity.

    Its pods have a label of their own, so that nobody takes them for workers.

    Attributes:
        template_name: the PodTemplate, known once it exists.
    """

    template_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        provider: kubernetes.Provider,
        namespace: pulumi.Output[str],
        workload: Workload,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("batch-aiml:index:CommandTemplate", name, None, opts)
        labels = {**kubernetes_labels(production=settings.production), "app": COMMAND}
        spec = pod(settings, workload, ["--help"], resources(CPU, MEMORY))
        spec["active_deadline_seconds"] = DEADLINE_SECONDS
        made = PodTemplate(
            f"{name}-template",
            metadata={"name": NAME, "namespace": namespace, "labels": labels},
            template=template(labels, workload, spec),
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        self.template_name = made.metadata.name
        self.register_outputs({"template_name": self.template_name})

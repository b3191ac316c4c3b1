"""What every container of the stack has in common: the restricted profile and fixed resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi_kubernetes.core.v1 import (
        PodSecurityContextArgsDict,
        ResourceRequirementsArgsDict,
        SecurityContextArgsDict,
    )

SCRATCH = "1Gi"
"""Ephemeral storage of a container: its log and its temporary files."""


def resources(cpu: str, memory: str) -> ResourceRequirementsArgsDict:
    """Return requests equal to limits: Autopilot sets them so; a difference would never settle."""
    amounts = {"cpu": cpu, "memory": memory, "ephemeral-storage": SCRATCH}
    return {"requests": amounts, "limits": amounts}


def pod_security(user: int, group: int) -> PodSecurityContextArgsDict:
    """Return the security context of a pod under the restricted Pod Security Standard.

    Args:
        user: user that the processes run as.
        group: their group, which also gets access to the volumes.
    """
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": group,
        "fs_group": group,
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def container_security() -> SecurityContextArgsDict:
    """Return the security context of a container under it, with a read-only root file system."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }

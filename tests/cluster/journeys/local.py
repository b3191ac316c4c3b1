"""The stack `local` as the user of a cluster has it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from existing import WORKER_USER, Cluster, new_namespace
from fakes.google_api.server import FakeGoogle
from journeys.rehearsed import SMALL_WORKERS
from stack_under_test import StackUnderTest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.images import Image
    from node.kubernetes_node import Node

CONTEXT = "engine"
"""Of the node's kubeconfig."""


@dataclass(frozen=True)
class Reach:
    """How the stack's commands reach the cluster: by its kubeconfig alone."""

    kubeconfig_path: Path
    authority: Path
    address: str = "127.0.0.1"


def on_node(node: Node, image: Image, share: Path) -> Cluster:
    """Return the run's own node, with a new directory of it as the share."""
    share.mkdir()
    os.chown(share, WORKER_USER, WORKER_USER)
    return Cluster(
        str(node.kubeconfig),
        CONTEXT,
        new_namespace(),
        image.reference,
        node.images.redis.reference,
        str(share),
        program=node.kubectl[0],
    )


@contextmanager
def local_stack(
    cluster: Cluster, directory: Path, tools: Path, python: Sequence[str], workers: int
) -> Iterator[StackUnderTest]:
    """Yield the stack with so many small workers; nothing is created yet."""
    path = Path(cluster.kubeconfig)
    no_google = directory / "no-google"
    no_google.mkdir()
    with FakeGoogle(no_google, "127.0.0.1") as google:
        stack = StackUnderTest(directory, tools, google, Reach(path, path), "local", python)
        _run_as_the_user(stack)
        stack.configure({"parallelism": workers, **SMALL_WORKERS, **cluster.settings()})
        yield stack


def _run_as_the_user(stack: StackUnderTest) -> None:
    """Let the stack's commands reach the cluster as a user's do, by credential plugins too."""
    del stack.environment["ENGINE_AWAIT"]  # there is a node for things to become ready on
    for name in ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        del stack.environment[name]
        if name in os.environ:
            stack.environment[name] = os.environ[name]
    stack.environment["HOME"] = os.environ.get("HOME", "/")
    stack.environment["PATH"] += os.pathsep + os.environ["PATH"]
    (stack.directory / "bin" / "gke-gcloud-auth-plugin").unlink()

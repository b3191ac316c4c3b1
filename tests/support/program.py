"""Runs the stack's program as Pulumi would, without an engine, and records what it declares."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import multiprocessing
import runpy
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).parents[2]
PROJECT = "my-project"
IP = "10.20.30.2"
ENDPOINT = "gke-0123456789-210987654321.us-central1.gke.goog"
PASSWORD = "p" * 32
DIGEST = "sha256:" + "d" * 64

_Properties = dict[str, Any]

_COMPUTED: dict[str, _Properties] = {
    "gcp:container/cluster:Cluster": {
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": ENDPOINT}}
    },
    "gcp:filestore/instance:Instance": {"networks": [{"ipAddresses": [IP]}]},
    "gcp:serviceaccount/account:Account": {
        "email": f"nodes@{PROJECT}.iam.gserviceaccount.com",
        "member": f"serviceAccount:nodes@{PROJECT}.iam.gserviceaccount.com",
    },
    "gcp:redis/instance:Instance": {
        "host": "10.20.30.40",
        "port": 6378,
        "authString": PASSWORD,
        "serverCaCerts": [{"cert": "CA ONE"}, {"cert": "CA TWO"}],
    },
    "gcp:compute/network:Network": {"name": "network-vpc-1234567"},
    "gcp:artifactregistry/repository:Repository": {"name": "batch-aiml"},
    "random:index/randomPassword:RandomPassword": {"result": PASSWORD},
    "docker-build:index:Image": {"digest": DIGEST},
}
"""What a provider adds to a resource once it exists."""


@dataclass
class Resource:
    """A declared resource.

    Attributes:
        inputs: without the wrappings of secrets.
        raw: the same as sent to the engine, with the wrappings.
        protect, delete_before_replace, dependencies, timeouts: its options; times to create,
            update and delete.
    """

    type: str
    name: str
    urn: str
    inputs: _Properties
    raw: _Properties
    protect: bool
    delete_before_replace: bool
    dependencies: frozenset[str]
    timeouts: tuple[str, str, str]

    @property
    def physical_name(self) -> str:
        """`metadata.name` of a Kubernetes object."""
        return str(self.inputs["metadata"]["name"])


@dataclass
class Declared:
    """Everything that a run of the program declared.

    Attributes:
        unchecked: resources declared before the first transform; None without one.
    """

    resources: list[Resource] = field(default_factory=list)
    unchecked: int | None = None
    outputs: _Properties = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def all(self, kind: str) -> list[Resource]:
        """Return the resources of a type, which may be written without its module."""
        return [r for r in self.resources if r.type == kind or r.type.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> Resource:
        """Return the only resource of a type, or the only one with that Kubernetes name."""
        found = [
            resource
            for resource in self.all(kind)
            if name is None or resource.physical_name == name
        ]
        assert len(found) == 1, f"{len(found)} resources of type {kind}, name {name}"
        return found[0]


class _Mocks(mocks.Mocks):
    def __init__(self, more: dict[str, _Properties], *, preview: bool) -> None:
        self.preview = preview
        self.computed = _COMPUTED | more

    def call(self, args: mocks.MockCallArgs) -> tuple[_Properties, None]:
        raise AssertionError(f"the program looks {args.token} up, which a preview can't always do")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, _Properties]:
        state: _Properties = copy.deepcopy(args.inputs)
        computed = copy.deepcopy(self.computed.get(args.typ, {}))
        if args.typ.startswith("docker-build") and args.inputs.get("push"):
            computed["ref"] = f"{args.inputs['tags'][0]}@{DIGEST}"
        _merge(state, _unknown(computed) if self.preview else computed)
        return ("" if self.preview else f"{args.name}-id"), state


class _Monitor(mocks.MockMonitor):
    def __init__(self, declared: Declared, more: dict[str, _Properties], *, preview: bool) -> None:
        super().__init__(_Mocks(more, preview=preview))
        self._declared = declared

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "pulumi:pulumi:Stack":
            return response
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        self._declared.resources.append(
            Resource(
                request.type,
                request.name,
                response.urn,
                _plain(inputs),
                json_format.MessageToDict(request.object),
                request.protect,
                request.deleteBeforeReplace,
                frozenset(request.dependencies),
                (
                    request.customTimeouts.create,
                    request.customTimeouts.update,
                    request.customTimeouts.delete,
                ),
            )
        )
        return response

    def RegisterStackTransform(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if self._declared.unchecked is None:
            self._declared.unchecked = len(self._declared.resources)
        return super().RegisterStackTransform(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if "pulumi:pulumi:Stack" in request.urn:
            raw = json_format.MessageToDict(request.outputs)
            self._declared.secret_outputs = {
                name
                for name, value in raw.items()
                if isinstance(value, dict) and rpc._special_sig_key in value
            }
            self._declared.outputs = _plain(
                rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            )
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def defaults() -> dict[str, Any]:
    """Return the defaults of `Pulumi.yaml`."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    return {key: entry["default"] for key, entry in project["config"].items()}


def stack_config(stack: str) -> dict[str, Any]:
    """Return the configuration that the engine hands to the program for a stack."""
    config = {f"batch-aiml:{key}": value for key, value in defaults().items()}
    config |= yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return config


def declare(
    stack: str = "dev",
    *,
    preview: bool = False,
    project: str | None = PROJECT,
    computed: dict[str, _Properties] | None = None,
    **changes: object,
) -> Declared:
    """Run `__main__.py` for a stack, with `changes` to its configuration.

    Args:
        stack: `dev` or `local`.
        preview: whether what providers compute is unknown.
        project: Google Cloud project, None for none.
        computed: other outputs for resources of a type.
        changes: configuration keys without namespace.

    Raises:
        pulumi.RunError: the program refuses its configuration.
    """
    config = stack_config(stack) | {f"batch-aiml:{key}": value for key, value in changes.items()}
    if project is not None and stack != "local":
        config["gcp:project"] = project
    return _process().submit(_declare, stack, config, computed or {}, preview).result()


@functools.cache
def _process() -> ProcessPoolExecutor:
    """Start a process for the SDK, which leaves event loops and threads behind."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _declare(
    stack: str,
    config: dict[str, Any],
    computed: dict[str, _Properties],
    preview: bool,
) -> Declared:
    declared = Declared()
    logger = logging.getLogger("test.program")
    logger.handlers = [_Collect(declared.log)]
    logger.setLevel(logging.INFO)
    monitor = _Monitor(declared, computed, preview=preview)
    asyncio.run(_run(config, monitor, stack, logger, preview=preview))
    return declared


async def _run(
    config: dict[str, Any],
    monitor: _Monitor,
    stack: str,
    logger: logging.Logger,
    *,
    preview: bool,
) -> None:
    mocks.set_mocks(
        monitor.mocks,
        project="batch-aiml",
        stack=stack,
        preview=preview,
        logger=logger,
        monitor=monitor,
    )
    # set_mocks makes a stack of its own; the program gets one with its outputs recorded.
    pulumi.runtime.settings.ROOT.set(None)
    pulumi.runtime.set_all_config({key: _text(value) for key, value in config.items()})
    await run_in_stack(_program)


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


class _Collect(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(computed: Any) -> Any:
    if isinstance(computed, dict):
        return {key: _unknown(value) for key, value in computed.items()}
    if isinstance(computed, list):
        return [_unknown(value) for value in computed]
    return rpc.UNKNOWN


def _merge(state: _Properties, more: _Properties) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(state.get(key), dict):
            _merge(state[key], value)
        elif isinstance(value, list) and isinstance(state.get(key), list):
            for old, new in zip(state[key], value, strict=True):
                _merge(old, new)
        else:
            state[key] = value


def _plain(value: Any) -> Any:
    """Return a value without the wrappings of secrets; unknown ones stay `rpc.UNKNOWN`."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value and "value" in value:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return rpc.UNKNOWN if isinstance(value, pulumi.output.Unknown) else value

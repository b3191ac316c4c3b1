"""Base of the small providers: the engine's protocol outside, plain dictionaries inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from faults import ProviderError, injected
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from serving import serve
from values import Path, Paths, Properties, conceal, differences, dotted, reveal


@dataclass(frozen=True)
class Operation:
    """What the engine says of the resource at hand.

    Attributes:
        preview: whether nothing may be changed.
        timeout: seconds the operation may take, 0 for the provider's own limit.
    """

    urn: str
    type: str
    name: str
    preview: bool = False
    timeout: float = 0


@dataclass
class Plan:
    """What changing a resource takes.

    Attributes:
        changed: paths of the inputs that differ.
        replacing: those of them that only a new resource can have.
        delete_first: whether the old one must go before the new one comes.
    """

    changed: Paths = field(default_factory=set)
    replacing: Paths = field(default_factory=set)
    delete_first: bool = False


@dataclass
class Live:
    """A resource as it is: its id, outputs, and the inputs that would make it so."""

    id: str
    state: Properties
    inputs: Properties


class Provider(ABC):
    """A provider in terms of plain values; secrets are taken out before and put back after."""

    version: str

    def check_config(self, inputs: Properties) -> list[tuple[str, str]]:
        """Return faults of the provider's own configuration, as property and reason."""
        return []

    def diff_config(self, old: Properties, new: Properties) -> Plan:
        """Return what a changed configuration of the provider takes."""
        return Plan(changed=differences(old, new))

    def configure(self, inputs: Properties) -> None:  # noqa: B027 - most take none
        """Take the configuration; values may be unknown in a preview."""

    @abstractmethod
    def check(
        self, op: Operation, old: Properties, new: Properties
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Return the inputs with what the provider fills in, and what is wrong with them."""

    def diff(self, op: Operation, old: Properties, state: Properties, new: Properties) -> Plan:
        """Return what going from `old` inputs to `new` ones takes."""
        return Plan(changed=differences(old, new))

    @abstractmethod
    def create(self, op: Operation, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; return its id and outputs."""

    @abstractmethod
    def read(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Live | None:
        """Return the resource as it is now, None when it is gone."""

    @abstractmethod
    def update(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Properties:
        """Change the resource in place; return its outputs."""

    @abstractmethod
    def delete(self, op: Operation, id_: str, state: Properties) -> None:
        """Remove the resource; that it is gone already is no error."""

    def secret_outputs(self, op: Operation, state: Properties) -> Paths:
        """Return paths of outputs that are secret whatever the inputs were."""
        return set()


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Speaks the engine's protocol for a provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def Attach(self, _request: Any, _context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, _request: Any, _context: Any) -> Any:
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, _context: Any) -> Any:
        inputs, _ = reveal(request.news)
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=_failures(self.provider.check_config(inputs))
        )

    def DiffConfig(self, request: Any, _context: Any) -> Any:
        old, _ = reveal(request.old_inputs)
        new, _ = reveal(request.news)
        return _diff_response(self.provider.diff_config(old, new))

    def Configure(self, request: Any, _context: Any) -> Any:
        self.provider.configure(reveal(request.args)[0])
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        old, _ = reveal(request.olds)
        new, secrets = reveal(request.news)
        with _told(context):
            inputs, failures = self.provider.check(_operation(request), old, new)
            return provider_pb2.CheckResponse(
                inputs=conceal(inputs, secrets), failures=_failures(failures)
            )

    def Diff(self, request: Any, context: Any) -> Any:
        old, _ = reveal(request.old_inputs)
        state, _ = reveal(request.olds)
        new, _ = reveal(request.news)
        with _told(context):
            plan = self.provider.diff(_operation(request), old, state, new)
            return _diff_response(plan)

    def Create(self, request: Any, context: Any) -> Any:
        inputs, secrets = reveal(request.properties)
        op = _operation(request)
        with _told(context), _faulty("create", op):
            id_, state = self.provider.create(op, inputs)
            return provider_pb2.CreateResponse(
                id="" if op.preview else id_, properties=self._conceal(op, state, secrets)
            )

    def Read(self, request: Any, context: Any) -> Any:
        state, secrets = reveal(request.properties)
        inputs, input_secrets = reveal(request.inputs)
        op = _operation(request)
        with _told(context), _faulty("read", op):
            live = self.provider.read(op, request.id, state, inputs)
            if live is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=live.id,
                properties=self._conceal(op, live.state, secrets),
                inputs=conceal(live.inputs, input_secrets),
            )

    def Update(self, request: Any, context: Any) -> Any:
        state, _ = reveal(request.olds)
        inputs, secrets = reveal(request.news)
        op = _operation(request)
        with _told(context), _faulty("update", op):
            new_state = self.provider.update(op, request.id, state, inputs)
            return provider_pb2.UpdateResponse(properties=self._conceal(op, new_state, secrets))

    def Delete(self, request: Any, context: Any) -> Any:
        state, _ = reveal(request.properties)
        op = _operation(request)
        with _told(context), _faulty("delete", op):
            self.provider.delete(op, request.id, state)
            return empty_pb2.Empty()

    def _conceal(self, op: Operation, state: Properties, secrets: Paths) -> struct_pb2.Struct:
        return conceal(state, secrets | self.provider.secret_outputs(op, state))


class _told:  # noqa: N801 - reads as a statement
    """Turns a provider's error into the status that the engine shows in one line."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ProviderError):
            self._context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _faulty(operation: str, op: Operation) -> Any:
    return injected("preview" if op.preview else operation, op.urn)


def _operation(request: Any) -> Operation:
    kind = request.urn.split("::")[2].split("$")[-1]
    return Operation(
        urn=request.urn,
        type=kind,
        name=request.urn.split("::")[3],
        preview=bool(getattr(request, "preview", False)),
        timeout=float(getattr(request, "timeout", 0)),
    )


def _failures(failures: list[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=name, reason=why) for name, why in failures]


def _diff_response(plan: Plan) -> Any:
    message = provider_pb2.PropertyDiff
    detailed = {
        dotted(path): message(
            kind=message.UPDATE_REPLACE if path in plan.replacing else message.UPDATE,
            inputDiff=True,
        )
        for path in plan.changed
    }
    changes = provider_pb2.DiffResponse
    return changes(
        changes=changes.DIFF_SOME if plan.changed else changes.DIFF_NONE,
        replaces=[dotted(path) for path in plan.replacing],
        diffs=sorted({str(path[0]) for path in plan.changed}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=plan.delete_first,
    )


def serve_provider(provider: Provider) -> None:
    """Serve a provider until the engine ends it."""

    def register(server: grpc.Server) -> None:
        add = cast("Any", provider_pb2_grpc.add_ResourceProviderServicer_to_server)
        add(Servicer(provider), server)

    serve(register)


__all__ = [
    "Live",
    "Operation",
    "Path",
    "Plan",
    "Properties",
    "Provider",
    "ProviderError",
    "serve_provider",
]

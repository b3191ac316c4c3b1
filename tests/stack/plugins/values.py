"""Property values as the engine sends them: structs with secrets and unknowns in them."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime.rpc import UNKNOWN, _special_secret_sig, _special_sig_key

if not isinstance(UNKNOWN, str):  # the engine's sentinel, read from the SDK
    raise TypeError("pulumi.runtime.rpc.UNKNOWN is no text any more")

Properties = dict[str, Any]
Path = tuple[str | int, ...]
Paths = set[Path]


def reveal(struct: struct_pb2.Struct) -> tuple[Properties, Paths]:
    """Return properties without the wrappings of secrets, and where the secrets were."""
    secrets: Paths = set()
    plain = _reveal(_native(struct), (), secrets)
    assert isinstance(plain, dict)
    return plain, secrets


def conceal(properties: Properties, secrets: Paths) -> struct_pb2.Struct:
    """Return a struct of `properties` in which the values at `secrets` are marked as secret."""
    struct = struct_pb2.Struct()
    struct.update(_conceal(properties, (), secrets))
    return struct


def is_unknown(value: object) -> bool:
    """Return whether a value is not known before an update, or holds one that is not."""
    if isinstance(value, dict):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(is_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def differences(old: object, new: object, path: Path = ()) -> Paths:
    """Return paths of the values that differ; of a list whose length changed, the list's."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: Paths = set()
        for key in old.keys() | new.keys():
            found |= differences(old.get(key), new.get(key), (*path, key))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        found = set()
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            found |= differences(a, b, (*path, index))
        return found
    return set() if old == new else {path}


def dotted(path: Path) -> str:
    """Return a path as the engine writes it: `spec.containers[0].image`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "/" in part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text


def _native(value: Any) -> Any:
    if isinstance(value, struct_pb2.Struct):
        return {key: _native(item) for key, item in value.fields.items()}
    if isinstance(value, struct_pb2.ListValue):
        return [_native(item) for item in value.values]
    kind = value.WhichOneof("kind")
    if kind in ("struct_value", "list_value"):
        return _native(getattr(value, kind))
    if kind == "null_value" or kind is None:
        return None
    if kind == "number_value" and value.number_value == int(value.number_value):
        return int(value.number_value)
    return getattr(value, kind)


def _reveal(value: Any, path: Path, secrets: Paths) -> Any:
    if isinstance(value, dict):
        if value.get(_special_sig_key) == _special_secret_sig:
            secrets.add(path)
            return _reveal(value.get("value"), path, secrets)
        return {key: _reveal(item, (*path, key), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_reveal(item, (*path, index), secrets) for index, item in enumerate(value)]
    return value


def _conceal(value: Any, path: Path, secrets: Paths) -> Any:
    if isinstance(value, dict):
        inner: Any = {key: _conceal(item, (*path, key), secrets) for key, item in value.items()}
    elif isinstance(value, list):
        inner = [_conceal(item, (*path, index), secrets) for index, item in enumerate(value)]
    else:
        inner = value
    return {_special_sig_key: _special_secret_sig, "value": inner} if path in secrets else inner

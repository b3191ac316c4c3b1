"""Objects and long-running operations of the fake, kept in one file between commands."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Object = dict[str, Any]

PROJECT_NUMBER = "123456789012"


class ApiError(Exception):
    """A refusal as Google's APIs word it."""

    def __init__(self, code: int, message: str, status: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or {
            400: "INVALID_ARGUMENT",
            404: "NOT_FOUND",
            409: "ALREADY_EXISTS",
            429: "RESOURCE_EXHAUSTED",
        }.get(code, "INTERNAL")


class Store:
    """What exists, by resource name.

    Args:
        path: JSON file; what it holds already is there again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        saved: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.objects: dict[str, Object] = saved.get("objects", {})
        self.operations: dict[str, Object] = saved.get("operations", {})
        self._serial: int = saved.get("serial", 0)

    def save(self) -> None:
        """Write the file in one step."""
        state = {
            "objects": self.objects,
            "operations": self.operations,
            "serial": self._serial,
        }
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(state, indent=1))
        os.replace(temporary, self._path)  # noqa: PTH105 - one rename

    def serial(self) -> int:
        """Return a number never given before."""
        self._serial += 1
        return self._serial

    def get(self, name: str) -> Object:
        """Return an object; 404 when there is none."""
        if name not in self.objects:
            raise ApiError(404, f"Resource '{name}' was not found")
        return self.objects[name]

    def create(self, name: str, value: Object) -> Object:
        """Create an object; 409 when there is one."""
        if name in self.objects:
            raise ApiError(409, f"Resource '{name}' already exists")
        self.objects[name] = value
        return value

    def delete(self, name: str) -> Object:
        """Take an object away; 404 when there is none."""
        self.get(name)
        return self.objects.pop(name)

    def patch(self, name: str, body: Object, mask: str) -> Object:
        """Set the fields that a mask names."""
        value = self.get(name)
        for field in filter(None, mask.split(",")):
            *parents, last = field.split(".")
            source: Any = body
            target = value
            for part in parents:
                source = (source or {}).get(part, {})
                target = target.setdefault(part, {})
            target[last] = (source or {}).get(last)
        return value

    def using(self, field: str, value: str) -> list[str]:
        """Return the names of the objects whose text mentions `value` in `field`."""
        return [
            name for name, item in self.objects.items() if value in json.dumps(item.get(field, ""))
        ]

"""`pulumi-resource-docker-build`: hashes what a build would send and calls that the image.

Nothing is built. What would be pushed is appended, a line of JSON each, to the file that
`ENGINE_IMAGES` names.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from pathspec import GitIgnoreSpec
from provider import Live, Operation, Plan, Properties, Provider, ProviderError, serve_provider
from pulumi.runtime.rpc import UNKNOWN
from values import differences

_INPUTS = {
    "addHosts", "buildArgs", "buildOnPreview", "builder", "cacheFrom", "cacheTo", "context",
    "dockerfile", "exec", "exports", "labels", "load", "network", "noCache", "platforms", "pull",
    "push", "registries", "secrets", "ssh", "tags", "target",
}  # fmt: skip


class DockerBuildProvider(Provider):
    """Images as functions of their context: the same files, the same digest."""

    version = "0.0.22"

    def check(
        self, op: Operation, old: Properties, new: Properties
    ) -> tuple[Properties, list[tuple[str, str]]]:
        if op.type != "docker-build:index:Image":
            raise ProviderError(f"{op.type}: this stand-in makes Image only")
        wrong = [(name, "no such property") for name in sorted(new.keys() - _INPUTS)]
        if "push" not in new:
            wrong.append(("push", "missing"))
        for name in ("context", "dockerfile"):
            location = new.get(name, {}).get("location", "")
            if not location or not Path(location).exists():
                wrong.append((f"{name}.location", f"{location!r} is no file or directory"))
        return new, wrong

    def diff(self, op: Operation, old: Properties, state: Properties, new: Properties) -> Plan:
        changed = differences(old, new)
        if _context_hash(new) != state.get("contextHash"):
            changed.add(("contextHash",))
        return Plan(changed=changed)

    def create(self, op: Operation, inputs: Properties) -> tuple[str, Properties]:
        state = self._build(op, inputs)
        return f"sha256:{state['contextHash']}", state

    def read(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Live:
        return Live(id_, state, inputs)

    def update(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Properties:
        return self._build(op, inputs)

    def delete(self, op: Operation, id_: str, state: Properties) -> None:
        pass

    def _build(self, op: Operation, inputs: Properties) -> Properties:
        content = _context_hash(inputs)
        if op.preview:
            if inputs.get("buildOnPreview", True):
                raise ProviderError("this stand-in builds nothing in previews")
            return {**inputs, "contextHash": content, "digest": UNKNOWN, "ref": UNKNOWN}
        digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        state = {**inputs, "contextHash": content, "digest": digest}
        if inputs.get("tags"):
            state["ref"] = f"{inputs['tags'][0]}@{digest}"
        if "ENGINE_IMAGES" in os.environ:
            with Path(os.environ["ENGINE_IMAGES"]).open("a") as pushed:
                pushed.write(json.dumps({"ref": state.get("ref"), "push": inputs["push"]}) + "\n")
        return state


def _context_hash(inputs: Properties) -> str:
    context = Path(inputs["context"]["location"])
    ignored = context / ".dockerignore"
    rules = GitIgnoreSpec.from_lines(ignored.read_text().splitlines() if ignored.exists() else [])
    found = hashlib.sha256(Path(inputs["dockerfile"]["location"]).read_bytes())
    for path in sorted(context.rglob("*")):
        name = str(path.relative_to(context))
        if path.is_file() and not rules.match_file(name):
            found.update(f"{name}\0{path.stat().st_mode:o}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    serve_provider(DockerBuildProvider())

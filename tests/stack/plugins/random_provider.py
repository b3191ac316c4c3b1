"""`pulumi-resource-random`: the one resource the stack uses, a password."""

from __future__ import annotations

import secrets
import string

from provider import Live, Operation, Plan, Properties, Provider, ProviderError, serve_provider
from values import Paths, differences

_INPUTS = {
    "length", "special", "lower", "upper", "number", "numeric", "minLower", "minUpper",
    "minNumeric", "minSpecial", "overrideSpecial", "keepers",
}  # fmt: skip


class RandomProvider(Provider):
    """Makes passwords; nothing of one can change without a new one."""

    version = "4.21.4"

    def check(
        self, op: Operation, old: Properties, new: Properties
    ) -> tuple[Properties, list[tuple[str, str]]]:
        if op.type != "random:index/randomPassword:RandomPassword":
            raise ProviderError(f"{op.type}: this stand-in makes RandomPassword only")
        wrong = [(name, "no such property") for name in sorted(new.keys() - _INPUTS)]
        if not isinstance(new.get("length"), int):
            wrong.append(("length", "missing or not a whole number"))
        return new, wrong

    def diff(self, op: Operation, old: Properties, state: Properties, new: Properties) -> Plan:
        changed = differences(old, new)
        return Plan(changed=changed, replacing=changed)

    def create(self, op: Operation, inputs: Properties) -> tuple[str, Properties]:
        if op.preview:
            return "", dict(inputs)
        letters = string.ascii_letters + string.digits
        if inputs.get("special", True):
            letters += inputs.get("overrideSpecial") or "!@#$%&*()-_=+[]{}<>:?"
        result = "".join(secrets.choice(letters) for _ in range(inputs["length"]))
        return "none", {**inputs, "result": result}

    def read(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Live:
        return Live(id_, state, inputs)

    def update(self, op: Operation, id_: str, state: Properties, inputs: Properties) -> Properties:
        raise ProviderError("a password is replaced, never updated")

    def delete(self, op: Operation, id_: str, state: Properties) -> None:
        pass

    def secret_outputs(self, op: Operation, state: Properties) -> Paths:
        return {("result",)}


if __name__ == "__main__":
    serve_provider(RandomProvider())

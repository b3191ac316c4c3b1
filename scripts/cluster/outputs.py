"""Stack outputs, from the JSON on standard input, as assignments for bash."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

from scripts.cluster.console import Failure, run


def assignments(outputs: dict[str, Any]) -> str:
    """Return lines for bash.

    Raises:
        Failure: the stack lacks an output.
    """
    for name in ("namespace", "job_name", "share_mount", "estimated_hourly_usd"):
        if name not in outputs:
            raise Failure(f"the stack has no output {name}: run pulumi up")
    values = {name: outputs[name] for name in ("namespace", "job_name", "share_mount")}
    values["kube_context"] = outputs.get("kube_context", "")
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    rates = shlex.quote(json.dumps(outputs["estimated_hourly_usd"]))
    lines.append(f"has_kubeconfig={'true' if 'kubeconfig' in outputs else 'false'}")
    lines.append(f"hourly_usd={rates}")
    return "\n".join(lines)


def _main() -> None:
    print(assignments(json.load(sys.stdin)))  # noqa: T201


if __name__ == "__main__":
    run(_main)

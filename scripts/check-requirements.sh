#!/bin/sh
# Fails when the Job's requirements and the package's dependencies name different packages.
set -eu
cd "$(dirname "$0")/.."

names() { sed -E 's/[[:space:]]*(#.*)?$//; /^$/d; s/[<>=!~ ].*//' | sort; }

declared=$(sed -n '/^dependencies = \[/,/^\]/p' pyproject.toml | sed -n 's/^ *"\(.*\)",$/\1/p' | names)
pinned=$(names <workload/requirements.in)
[ "$declared" = "$pinned" ] || {
  echo "pyproject.toml and workload/requirements.in name different packages" >&2
  exit 1
}
if names <workload/requirements.txt | grep -q '^pulumi'; then
  echo "workload/requirements.txt: the Job's image must not carry Pulumi" >&2
  exit 1
fi
if grep -nE '://' requirements*.txt workload/requirements.txt; then
  echo "a requirements file records a download address" >&2
  exit 1
fi

# Sourced by the scripts: one line on standard error, and the exit codes EXIT_DONE, EXIT_FAILED, ... of
# the table that the workload and the stack read, too.
# shellcheck shell=bash

script=${0##*/}
script=${script%.sh}

_row='"name": "([A-Z_]+)", "code": ([0-9]+),'
while read -r _line; do
  if [[ $_line =~ $_row ]]; then printf -v "EXIT_${BASH_REMATCH[1]}" %s "${BASH_REMATCH[2]}"; fi
done <"$(dirname "${BASH_SOURCE[0]}")/../workload/exit_codes.json"

# fail MESSAGE [CODE]
fail() {
  echo "$script: $1" >&2
  exit "${2:-$EXIT_FAILED}"
}

# refuse MESSAGE: wrong arguments or settings.
refuse() {
  fail "$1" "$EXIT_USAGE"
}

#!/usr/bin/env bash
# Copies model, ledger and reports from the share.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/fetch-results.sh [--stack NAME] [DIRECTORY]

Copies results of the share to DIRECTORY (results/): ledger, dead letters, reports, and the checkpoints
that the ledger names, if their hash is the ledger's, as far as there is room. What is there is
skipped, only what an earlier run has put there is replaced; what broke off is resumed when this is
run again.

  --stack NAME   stack to work on (the selected one)
  --help         this text

Example: scripts/fetch-results.sh results
END
}

directory=
while [ $# -gt 0 ]; do
  take_option_or_directory "$@"
  shift "$used"
done

reach_cluster
open_pod 86400
helper results fetch "${directory:-results}" "$pod"

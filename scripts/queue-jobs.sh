#!/usr/bin/env bash
# Queues the datasets that are on the share.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/queue-jobs.sh [--stack NAME]

Pushes datasets/training/* of the share onto the list `datasets`, in date order, and prints the files
and the queue's length. Safe to run again: what is queued, in progress or learned is not pushed twice.

  --stack NAME   stack to work on (the selected one)
  --help         this text

Example: scripts/queue-jobs.sh --stack dev
END
}

while [ $# -gt 0 ]; do
  take_option "$@"
  shift "$used"
done

reach_cluster
open_pod 3600
in_pod queue push --all

#!/usr/bin/env bash
# Tells how far a run is, what it has cost, and what is wrong.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/status.sh [--stack NAME]

Prints the Job, its workers, the cost so far (an estimate), the queue, and one line for each thing
that is wrong. Ends with 3 when something is.

  --stack NAME   stack to work on (the selected one)
  --help         this text

Example: scripts/status.sh
END
}

while [ $# -gt 0 ]; do
  take_option "$@"
  shift "$used"
done

reach_cluster
# shellcheck disable=SC2154 # set by the outputs
export BATCH_JOB=$job_name BATCH_RATES=$hourly_usd
commands_blocked=4 # of scripts/cluster/watch.py
code=$EXIT_DONE
helper watch cluster "$namespace" || code=$?
case $code in
  "$EXIT_DONE" | "$EXIT_INCOMPLETE") ;;
  "$commands_blocked") exit "$EXIT_INCOMPLETE" ;;
  *) exit "$code" ;;
esac
open_pod 3600
helper watch status "$pod" || code=$?
exit "$code"

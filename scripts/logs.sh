#!/usr/bin/env bash
# Shows the logs of the Job's workers.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/logs.sh [--stack NAME] [--no-follow]

Prints the logs of all pods of the Job, of those that have ended and of those that start later, each
line after its pod's name, until the Job has ended.

  --stack NAME   stack to work on (the selected one)
  --no-follow    print what there is now, and end
  --help         this text

Example: scripts/logs.sh --no-follow | grep Processing
END
}

mode=()
while [ $# -gt 0 ]; do
  used=1
  case $1 in
    --no-follow) mode=(--no-follow) ;;
    *) take_option "$@" ;;
  esac
  shift "$used"
done

reach_cluster
# shellcheck disable=SC2154 # set by the outputs
export BATCH_JOB=$job_name
helper logs "${mode[@]+"${mode[@]}"}"

#!/usr/bin/env bash
# Runs a workload command in the cluster, in a pod that lives as long as the command.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/workload.sh [--stack NAME] ARGUMENTS...

Runs `workload ARGUMENTS...` in the cluster, in a pod of the Job's image with the share and the
queue. Prints what it prints, ends with its exit code, and removes the pod.

  --stack NAME   stack to work on (the selected one)
  --help         this text; `workload.sh -- --help` is that of the workload

Example: scripts/workload.sh queue status
END
}

while [ $# -gt 0 ]; do
  case $1 in
    --)
      shift
      break
      ;;
    -*) take_option "$@" ;;
    *) break ;;
  esac
  shift "$used"
done
[ $# -gt 0 ] || refuse "a command is missing (try --help)"

reach_cluster
open_pod 86400
in_pod "$@"

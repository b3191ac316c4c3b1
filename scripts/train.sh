#!/usr/bin/env bash
# The whole journey: price, stack, datasets, training, results.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/train.sh [options] [DIRECTORY]

Shows what the stack will be and what it costs, brings it up, copies DIRECTORY (datasets/) to the
share, queues the datasets, shows the progress until the Job has ended, and fetches the results.
Interrupt it any time: the same command resumes it.

  --stack NAME     stack to work on (the selected one)
  --run NAME       give the Job a new run first: for datasets that came after the last one ended
  --results DIR    where to put the results (results)
  --yes            do not ask before the stack is made or changed
  --destroy        destroy the stack after the results are fetched; without it you are asked
  --help           this text

Example: scripts/train.sh --stack dev data
END
}

directory='' results=results run='' yes=false destroy=false
while [ $# -gt 0 ]; do
  used=1
  case $1 in
    --run | --results)
      [ -n "${2-}" ] || refuse "$1: its value is missing (try --help)"
      printf -v "${1#--}" %s "$2"
      used=2
      ;;
    --yes) yes=true ;;
    --destroy) destroy=true ;;
    *) take_option_or_directory "$@" ;;
  esac
  shift "$used"
done
directory=${directory:-datasets}

# confirm QUESTION
confirm() {
  local answer
  [ -t 0 ] || return
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

step() {
  printf '\n== %s\n' "$1"
}

here=$root/scripts
helper files check "$directory" || exit
$yes || [ -t 0 ] || refuse "not a terminal: pass --yes to skip confirmation"
[ -z "$run" ] || pulumi_ config set run -- "$run"

step "What it will be, and what it costs"
pulumi_ preview
$yes || confirm "Bring it up?" || fail "stopped; nothing was changed"

bring_up() {
  step "Stack"
  pulumi_ up --yes --skip-preview
}

hand_over() {
  step "Datasets"
  "$here/transfer-datasets.sh" "${stack[@]+"${stack[@]}"}" "$directory"

  step "Queue"
  "$here/queue-jobs.sh" "${stack[@]+"${stack[@]}"}"
}

# The first run of a stack waits for its first dataset; a later one ends at once when none is queued.
if [ -n "$run" ] && pulumi_ stack output job_name >/dev/null 2>&1; then
  hand_over
  bring_up
else
  bring_up
  hand_over
fi

step "Training (Ctrl-C stops watching; the Job continues)"
reach_cluster
# shellcheck disable=SC2154 # set by the outputs
export BATCH_JOB=$job_name
code=$EXIT_HANDED_BACK
while [ "$code" = "$EXIT_HANDED_BACK" ]; do # its pod went away
  open_pod 86400
  code=$EXIT_DONE
  helper watch follow "$pod" || code=$?
  close_pod
done
[ "$code" = "$EXIT_DONE" ] || [ "$code" = "$EXIT_INCOMPLETE" ] || exit "$code"

step "Results"
if ! "$here/fetch-results.sh" "${stack[@]+"${stack[@]}"}" "$results"; then
  [ "$code" = "$EXIT_DONE" ] ||
    fail "the Job failed and left no results: scripts/logs.sh shows why" "$code"
  exit "$EXIT_FAILED"
fi
[ "$code" = "$EXIT_DONE" ] ||
  fail "not everything was learned: scripts/status.sh shows what to do" "$code"

leave
if $destroy || confirm "Destroy the stack, with all that is on the share?"; then
  pulumi_ destroy --yes
else
  echo "The stack is still there and costs money. To end it: pulumi destroy"
fi

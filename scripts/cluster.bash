# Sourced by the scripts that work in the cluster: the stack's outputs, its kubectl, and pods of the
# template that the stack declares. They remove what they make, however they end.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/fail.bash
source "$root/scripts/fail.bash"
stack=()
PYTHON=${PYTHON:-python3}

# helper MODULE ARGUMENTS...: runs a module of scripts/cluster.
helper() {
  BATCH_SCRIPT=$script PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 \
    "$PYTHON" -P -m "scripts.cluster.$1" "${@:2}"
}

# take_option ARGUMENTS...: takes the first, an option that every script has; `used` words of them.
# shellcheck disable=SC2034 # the scripts shift by it
take_option() {
  used=1
  case $1 in
    --help | -h)
      usage
      exit
      ;;
    --stack)
      [ -n "${2-}" ] || refuse "--stack: its value is missing (try --help)"
      stack=(--stack "$2")
      used=2
      ;;
    *) refuse "$1: no such option (try --help)" ;;
  esac
}

# take_option_or_directory ARGUMENTS...: the same for a script that works on one directory.
# shellcheck disable=SC2034 # the scripts shift by it
take_option_or_directory() {
  if [[ $1 == -* ]]; then
    take_option "$@"
  else
    [ -z "$directory" ] || refuse "$1: only one directory is allowed (try --help)"
    directory=$1
    used=1
  fi
}

pulumi_() {
  pulumi --cwd "$root" "$@" "${stack[@]+"${stack[@]}"}"
}

# reach_cluster: sets the stack's outputs as variables, and the kubectl that everything goes through.
reach_cluster() {
  local tool outputs
  for tool in pulumi kubectl "$PYTHON"; do
    command -v "$tool" >/dev/null || fail "$tool is not on PATH: docs/google-cloud.md lists what is needed"
  done
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$PYTHON is older than 3.11; set PYTHON to a newer one"
  private=$(umask 077 && mktemp -d)
  trap leave EXIT
  outputs=$(pulumi_ stack output --json) || fail "no outputs: select a stack or pass --stack NAME"
  outputs=$(helper outputs <<<"$outputs") || exit
  local kube_context='' has_kubeconfig=false
  namespace=''
  eval "$outputs"
  kubectl=(kubectl --namespace "$namespace")
  if [ -n "$kube_context" ]; then kubectl+=(--context "$kube_context"); fi
  if $has_kubeconfig; then
    (umask 077 && pulumi_ stack output kubeconfig --show-secrets >"$private/kubeconfig") ||
      fail "the stack's kubeconfig can't be read"
    kubectl+=(--kubeconfig "$private/kubeconfig")
  fi
  BATCH_KUBECTL=$(printf '%q ' "${kubectl[@]}")
  export BATCH_KUBECTL
}

# open_pod SECONDS: starts a pod that lives so long at most, and waits until it runs.
open_pod() {
  local name
  name=command-$(date +%s)-$$-$RANDOM
  pod=$name
  "${kubectl[@]}" get podtemplate workload-command --output json >"$private/template.json" ||
    fail "the stack has no PodTemplate workload-command: run pulumi up"
  helper pods manifest "$name" "$1" <"$private/template.json" |
    "${kubectl[@]}" create --filename - >/dev/null || fail "the pod $name could not be created"
  helper pods await "$name" || exit
}

# in_pod ARGUMENTS...: runs a workload command in the open pod. What it prints reaches a terminal, and
# its errors reach anything, with control characters as escapes.
in_pod() {
  if [ -t 1 ]; then
    exec_in_pod "$@" | helper shown output
  else
    exec_in_pod "$@"
  fi
}

exec_in_pod() {
  {
    "${kubectl[@]}" exec --stdin "$pod" -- python -m workload "$@" 2>&1 >&3 3>&- |
      helper shown errors >&2
  } 3>&1
}

close_pod() {
  if [ -n "${pod-}" ]; then
    "${kubectl[@]}" delete pod "$pod" --ignore-not-found --grace-period 1 --wait=false >/dev/null 2>&1 ||
      echo "$script: pod $pod could not be removed; it ends by itself" >&2
    pod=''
  fi
}

leave() {
  close_pod
  rm -rf "$private"
}

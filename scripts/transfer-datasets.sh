#!/usr/bin/env bash
# Copies a directory of datasets to the share, as often as it takes.
set -euo pipefail
# shellcheck source=scripts/cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/cluster.bash"

usage() {
  cat <<'END'
usage: scripts/transfer-datasets.sh [--stack NAME] [DIRECTORY]

Copies DIRECTORY/training and DIRECTORY/testing (datasets/) to datasets/ on the share. Every file is
checked by its SHA-256 and has its name only when it is whole. What is there is skipped; a transfer
that broke off, even within a file, is resumed when this is run again.

  --stack NAME   stack to work on (the selected one)
  --help         this text

Example: scripts/transfer-datasets.sh data
END
}

directory=
while [ $# -gt 0 ]; do
  take_option_or_directory "$@"
  shift "$used"
done
directory=${directory:-datasets}

helper files check "$directory" || exit
reach_cluster
open_pod 86400
helper files send "$directory" "$pod"

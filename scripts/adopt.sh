#!/usr/bin/env bash
# Takes a Google resource into the stack that an update made and could not record.
set -euo pipefail
# shellcheck source=scripts/fail.bash
source "$(dirname "${BASH_SOURCE[0]}")/fail.bash"
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/adopt.sh NAME ID

After an update that died between Google's work and its own note of it, the next one reports that a
resource "already exists". This takes it into the selected stack; then `pulumi up` works again. Only
for what this stack itself has made: adopted resources are changed and destroyed with it.

  NAME  its name in Pulumi's message: share-filestore, cluster-gke, images-repository, nodes-account
  ID    the path in that message, projects/PROJECT/...

Example: scripts/adopt.sh share-filestore \
  projects/my-project/locations/us-central1-b/instances/batch-aiml-filestore
END
}

case ${1-} in
  --help | -h)
    usage
    exit
    ;;
esac
[ $# = 2 ] || refuse "a name and an ID are required (try --help)"

case $1 in
  share-filestore) type=gcp:filestore/instance:Instance parent=Share::share kind=instances ;;
  cluster-gke) type=gcp:container/cluster:Cluster parent=GkeCluster::cluster kind=clusters ;;
  images-repository)
    type=gcp:artifactregistry/repository:Repository parent=ImageRepository::images kind=repositories
    ;;
  nodes-account)
    type=gcp:serviceaccount/account:Account parent=NodeIdentity::nodes kind=serviceAccounts
    ;;
  *) refuse "$1: must be share-filestore, cluster-gke, images-repository or nodes-account" ;;
esac
[[ $2 =~ ^projects/[^/]+/(locations/[^/]+/)?$kind/[^/]+$ ]] ||
  refuse "$2: must be the path of such a resource, projects/PROJECT/.../$kind/NAME"
command -v pulumi >/dev/null || refuse "pulumi is not on PATH: https://www.pulumi.com/docs/install/"

stack=$(pulumi stack --show-name) || refuse "no stack is selected: pulumi stack select NAME"
pulumi import --yes --protect=false --generate-code=false "$type" "$1" "$2" \
  --parent "parent=urn:pulumi:$stack::batch-aiml::batch-aiml:index:$parent"
echo "adopted; now: pulumi up"

#!/usr/bin/env bash
# Prepares a Google Cloud project for the stack: where its state lives, who may change it and, with
# --repository, who may preview it from GitHub. docs/google-cloud.md says what each part is for.
set -euo pipefail
# shellcheck source=scripts/fail.bash
source "$(dirname "${BASH_SOURCE[0]}")/fail.bash"
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/bootstrap.sh --project PROJECT [options]

Makes, in a Google Cloud project, what the stack itself can't: a versioned bucket for its state, a
key for the secrets in it, a service account for the cluster's nodes, and one with the roles that a
deployment needs. Safe to run again: what exists is kept, its settings and roles are set anew.

  --project PROJECT         ID of the project; you need to be its owner
  --repository OWNER/NAME   GitHub repository whose pull requests are previewed and whose main branch
                            is compared with the cloud: two read-only service accounts, no keys
  --repository-id NUMBER    its number, required with --repository: a name can be given to another,
                            a number never is (gh api repos/OWNER/NAME --jq .id)
  --region REGION           of bucket and key (us-central1)
  --bucket NAME             of the state (PROJECT-batch-aiml-state)
  --operator MEMBER         who may act as the deployer, such as group:team@example.com (you)
  --private-network         the stack will have network: new
  --memorystore             the stack will have redis_mode: memorystore
  --dry-run                 print the commands and run none
  --help                    this text

Example: scripts/bootstrap.sh --project my-project --dry-run
END
}

project='' repository='' repository_id='' region=us-central1 bucket='' operator=''
private_network=false memorystore=false dry_run=false

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      usage
      exit
      ;;
    --private-network) private_network=true ;;
    --memorystore) memorystore=true ;;
    --dry-run) dry_run=true ;;
    --project | --repository | --repository-id | --region | --bucket | --operator)
      [ -n "${2-}" ] || refuse "$1: its value is missing (try --help)"
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      shift
      ;;
    *) refuse "$1: no such option (try --help)" ;;
  esac
  shift
done

# check OPTION VALUE PATTERN ALLOWED
check() {
  [[ $2 =~ ^($3)$ ]] || refuse "$1 $2: must be $4"
}

[ -n "$project" ] || refuse "--project is missing (try --help)"
check --project "$project" '[a-z][a-z0-9-]{4,28}[a-z0-9]' "the ID of a Google Cloud project"
check --region "$region" '[a-z]+-[a-z]+[0-9]+' "a region such as us-central1"
bucket=${bucket:-$project-batch-aiml-state}
check --bucket "$bucket" '[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]' \
  "3 to 63 lower-case letters, digits, hyphens and underscores"
if [ -n "$operator" ]; then
  check --operator "$operator" '(user|group|serviceAccount):[^[:space:]@]+@[^[:space:]@]+' \
    "user:, group: or serviceAccount: and an address"
fi
if [ -n "$repository" ]; then
  check --repository "$repository" '[A-Za-z0-9-]+/[A-Za-z0-9._-]+' "OWNER/NAME on GitHub"
  [ -n "$repository_id" ] ||
    refuse "--repository needs --repository-id: the number that gh api repos/$repository --jq .id prints"
  check --repository-id "$repository_id" '[0-9]+' "a number"
elif [ -n "$repository_id" ]; then
  refuse "--repository-id needs --repository"
fi
$dry_run || command -v gcloud >/dev/null ||
  fail "gcloud is not on PATH: install the Google Cloud CLI, https://cloud.google.com/sdk/docs/install"

step() {
  printf '\n# %s\n' "$1"
}

# ask ARGUMENTS...: prints what gcloud answers; nothing when it finds nothing, or in a dry run.
ask() {
  $dry_run || gcloud "$@" --quiet 2>/dev/null || true
}

# run ARGUMENTS...: prints the gcloud command and, unless this is a dry run, runs it.
run() {
  printf 'gcloud'
  printf ' %q' "$@"
  printf '\n'
  $dry_run || gcloud "$@" --quiet >/dev/null || fail "stopped: fix what gcloud reports, then run this again"
}

# grant ARGUMENTS...: run, but waits: a new service account isn't known everywhere at once.
grant() {
  local attempt
  for attempt in 1 2 3 4 5; do
    if $dry_run || gcloud "$@" --quiet >/dev/null 2>&1; then
      printf 'gcloud'
      printf ' %q' "$@"
      printf '\n'
      return
    fi
    sleep "$attempt"
  done
  run "$@"
}

# on_project MEMBER ROLE...
on_project() {
  local member=$1 role
  shift
  for role; do
    grant projects add-iam-policy-binding "$project" --member "$member" --role "$role" \
      --condition None
  done
}

# on_state MEMBER BUCKET_ROLE KEY_ROLE
on_state() {
  grant storage buckets add-iam-policy-binding "gs://$bucket" --member "$1" --role "$2"
  grant kms keys add-iam-policy-binding "$key" "${in_keyring[@]}" --member "$1" --role "$3"
}

# account NAME TITLE: makes the service account unless it exists.
account() {
  local known
  known=$(ask iam service-accounts describe "$(address "$1")" "${in_project[@]}" --format 'value(email)')
  [ -n "$known" ] ||
    run iam service-accounts create "$1" "${in_project[@]}" --display-name "$2"
}

address() {
  echo "$1@$project.iam.gserviceaccount.com"
}

# admit ACCOUNT EVENT...: lets workflows that these events start act as the service account.
admit() {
  local account=$1 event
  shift
  for event; do
    grant iam service-accounts add-iam-policy-binding "$(address "$account")" "${in_project[@]}" \
      --member "principalSet://iam.googleapis.com/$pool_path/attribute.event_name/$event" \
      --role roles/iam.workloadIdentityUser
  done
}

in_project=(--project "$project")
keyring=batch-aiml key=state
in_keyring=(--keyring "$keyring" --location "$region" "${in_project[@]}")
nodes=batch-aiml-cluster-nodes deployer=batch-aiml-deployer preview=batch-aiml-preview drift=batch-aiml-drift
role=batchAimlDrift

number=PROJECT_NUMBER you=user:YOU
if ! $dry_run; then
  number=$(ask projects describe "$project" --format 'value(projectNumber)')
  [ -n "$number" ] || fail "--project $project: not found, or you may not see it (gcloud auth login)"
  you=$(ask config get-value account)
  case $you in
    *.gserviceaccount.com) you=serviceAccount:$you ;;
    *) you=user:$you ;;
  esac
fi

step "APIs; the stack enables those that it uses itself"
apis=(cloudkms cloudresourcemanager iam iamcredentials serviceusage storage sts)
run services enable "${apis[@]/%/.googleapis.com}" "${in_project[@]}"

step "Bucket of the state"
known=$(ask storage buckets list "${in_project[@]}" --filter "name=$bucket" --format 'value(name)')
[ -n "$known" ] || run storage buckets create "gs://$bucket" "${in_project[@]}" --location "$region" \
  --uniform-bucket-level-access --public-access-prevention
run storage buckets update "gs://$bucket" --versioning --uniform-bucket-level-access \
  --public-access-prevention

step "Key of the secrets in the state"
known=$(ask kms keyrings describe "$keyring" --location "$region" "${in_project[@]}" --format 'value(name)')
[ -n "$known" ] || run kms keyrings create "$keyring" --location "$region" "${in_project[@]}"
rotation=(--rotation-period 90d --next-rotation-time +p90d)
known=$(ask kms keys describe "$key" "${in_keyring[@]}" --format 'value(name,rotationPeriod)')
case $known in
  '') run kms keys create "$key" "${in_keyring[@]}" --purpose encryption "${rotation[@]}" ;;
  *$'\t'*s) ;; # rotates already, as often as somebody decided
  *) run kms keys update "$key" "${in_keyring[@]}" "${rotation[@]}" ;;
esac

step "Nodes: what the cluster's machines work as, so that the deployer needs no right to make accounts"
account "$nodes" "Nodes of batch-aiml"
on_project "serviceAccount:$(address "$nodes")" roles/container.defaultNodeServiceAccount

step "Deployer: changes the stack; the operator acts as it"
account "$deployer" "Deploys the batch-aiml stack"
member=serviceAccount:$(address "$deployer")
roles=(
  roles/artifactregistry.admin
  roles/compute.networkViewer
  roles/container.clusterAdmin
  roles/container.developer
  roles/file.editor
  roles/serviceusage.serviceUsageAdmin
)
if $private_network; then roles+=(roles/compute.networkAdmin); fi
if $memorystore; then roles+=(roles/redis.admin); fi
on_project "$member" "${roles[@]}"
grant iam service-accounts add-iam-policy-binding "$(address "$nodes")" "${in_project[@]}" \
  --member "$member" --role roles/iam.serviceAccountUser
on_state "$member" roles/storage.objectUser roles/cloudkms.cryptoKeyEncrypterDecrypter
grant iam service-accounts add-iam-policy-binding "$(address "$deployer")" "${in_project[@]}" \
  --member "${operator:-$you}" --role roles/iam.serviceAccountTokenCreator

if [ -n "$repository" ]; then
  step "Federation: this repository's pull requests, and its scheduled and manual runs on main"
  pool=batch-aiml provider=github
  pool_path=projects/$number/locations/global/workloadIdentityPools/$pool
  scope=(--location global "${in_project[@]}")
  known=$(ask iam workload-identity-pools describe "$pool" "${scope[@]}" --format 'value(state)')
  case $known in
    '') run iam workload-identity-pools create "$pool" "${scope[@]}" --display-name batch-aiml ;;
    DELETED) run iam workload-identity-pools undelete "$pool" "${scope[@]}" ;;
  esac
  scope+=(--workload-identity-pool "$pool")
  verb=update-oidc
  known=$(ask iam workload-identity-pools providers describe "$provider" "${scope[@]}" --format 'value(state)')
  case $known in
    '') verb=create-oidc ;;
    DELETED) run iam workload-identity-pools providers undelete "$provider" "${scope[@]}" ;;
  esac
  admitted="assertion.repository == '$repository' && assertion.repository_id == '$repository_id'"
  admitted+=" && (assertion.event_name == 'pull_request' || (assertion.ref == 'refs/heads/main'"
  admitted+=" && assertion.event_name in ['schedule', 'workflow_dispatch']))"
  run iam workload-identity-pools providers "$verb" "$provider" "${scope[@]}" \
    --issuer-uri https://token.actions.githubusercontent.com \
    --attribute-mapping google.subject=assertion.sub,attribute.event_name=assertion.event_name \
    --attribute-condition "$admitted"

  step "Preview: runs the code of pull requests, so it reads the state and reaches the cluster, no more"
  account "$preview" "Previews pull requests of batch-aiml"
  member=serviceAccount:$(address "$preview")
  on_project "$member" roles/container.clusterViewer
  on_state "$member" roles/storage.objectViewer roles/cloudkms.cryptoKeyDecrypter
  admit "$preview" pull_request

  step "Drift: runs the code of main, and reads every resource that the stack has"
  account "$drift" "Looks for drift of the batch-aiml stack"
  member=serviceAccount:$(address "$drift")
  permissions=container.secrets.get
  if $memorystore; then permissions+=,redis.instances.getAuthString; fi
  verb=update
  known=$(ask iam roles describe "$role" "${in_project[@]}" --format 'value(name,deleted)')
  case $known in
    '') verb=create ;;
    *True) run iam roles undelete "$role" "${in_project[@]}" ;;
  esac
  run iam roles "$verb" "$role" "${in_project[@]}" --title "batch-aiml drift" --stage GA \
    --permissions "$permissions"
  on_project "$member" roles/viewer "projects/$project/roles/$role"
  on_state "$member" roles/storage.objectViewer roles/cloudkms.cryptoKeyDecrypter
  admit "$drift" schedule workflow_dispatch
fi

cat <<END

# Next: act as the deployer in this shell, keep the state in the bucket, look before you deploy
gcloud auth application-default login --impersonate-service-account $(address "$deployer")
export CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT=$(address "$deployer")
pulumi login gs://$bucket
pulumi stack init dev --secrets-provider gcpkms://projects/$project/locations/$region/keyRings/$keyring/cryptoKeys/$key
pulumi config set gcp:project $project
pulumi config set node_service_account $(address "$nodes")
pulumi preview
END

if [ -n "$repository" ]; then
  cat <<END

# Next: tell the workflows; none of these values is a secret
gh variable set GCP_PROJECT --repo $repository --body $project
gh variable set GCP_WORKLOAD_IDENTITY_PROVIDER --repo $repository --body $pool_path/providers/$provider
gh variable set GCP_PREVIEW_SERVICE_ACCOUNT --repo $repository --body $(address "$preview")
gh variable set GCP_DRIFT_SERVICE_ACCOUNT --repo $repository --body $(address "$drift")
gh variable set PULUMI_BACKEND_URL --repo $repository --body gs://$bucket
END
fi

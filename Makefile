# Everything a user or CI needs; each target sets up what it lacks. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
CONFIG ?= configs/reviews.yaml
VENV := .venv
BIN := $(VENV)/bin
TORCH := .venv-torch
# An environment set up with GPU=1 stays one.
GPU ?= $(if $(wildcard $(VENV)/.installed-gpu),1)
PARTED := --numprocesses auto --maxprocesses 4
INSTALLED := $(VENV)/.installed$(if $(GPU),-gpu)

.PHONY: help setup retrain up down bench faults test quick lint types audit lock docs pictures clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

setup: $(INSTALLED) ## Build .venv from requirements.lock (GPU=1 adds CUDA)

retrain: $(INSTALLED) ## Retrain on the embedded reviews; CONFIG=FILE for another config
	@$(BIN)/incumbent retrain --config $(CONFIG) $(ARGS)

up: $(INSTALLED) ## Prefect server, MLflow server, a worker and the deployments, on this machine
	@$(BIN)/incumbent up

down: ## Stop them
	@if test -x $(BIN)/incumbent; then $(BIN)/incumbent down; else echo "nothing ran here"; fi

bench: $(INSTALLED) $(TORCH)/.installed ## Every speed benchmark against its peer; ARGS="--only NAME --quick --docs"
	@$(BIN)/python -m benchmarks.speed $(ARGS)

faults: $(INSTALLED) ## Every fault, injected (takes long); ARGS="--only 'full disk' --quick --docs"
	@$(BIN)/python -m tests.faults $(ARGS)

# Modules go to the workers whole, as their tests share what they make, and the longest go first.
test: $(INSTALLED) lint types ## Lint, types and all tests
	@$(BIN)/python -m pytest $(PARTED) --dist loadfile --no-loadscope-reorder

quick: $(INSTALLED) ## The unit tests alone: no TensorFlow, no server
	@$(BIN)/python -m pytest $(PARTED) --dist worksteal -m "not slow"

lint: $(INSTALLED)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(INSTALLED)
	@$(BIN)/mypy

audit: $(INSTALLED) ## Ask PyPI for known vulnerabilities of all pins (wants the internet)
	@$(BIN)/uv tool run pip-audit --requirement requirements.lock --disable-pip --require-hashes --strict

lock: $(INSTALLED) ## Remake requirements.lock from pyproject.toml (UPGRADE=1 takes newer releases)
	@$(BIN)/uv pip compile pyproject.toml --extra dev --group embedded --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --extra gpu --group embedded --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
	  --constraint requirements.lock --output-file requirements-gpu.lock
	@$(BIN)/uv pip compile deployments/containers.in --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
	  --constraint requirements.lock --output-file deployments/containers.lock
	@$(BIN)/uv pip compile benchmarks/requirements-torch.in --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file benchmarks/requirements-torch.lock

docs: $(INSTALLED) ## Remake the parts of the docs that come from the code
	@$(BIN)/python -m incumbent.reference

pictures: $(INSTALLED) ## Remake the README's pictures from the last run here (wants chromium)
	@$(BIN)/python -m tests.web.pictures

clean: down ## Remove the environment and every cache, but no model
	rm -rf $(VENV) $(TORCH) .incumbent .mypy_cache .pytest_cache .ruff_cache *.egg-info

# uv installs the lock in seconds; where it cannot reach the registry that pip is set up for,
# pip installs the same pins. Both check the same hashes, and neither follows dependencies. Both
# compile: Python would do it at each start where it is told to write no bytecode, as in containers.
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
$(INSTALLED): $(LOCK) pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11, or name another with PYTHON=..." >&2; exit 2; }
	@echo "Setting up $(VENV) from $(LOCK) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock 2>$(VENV)/pip.log || { cat $(VENV)/pip.log >&2; exit 1; }
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r $(LOCK) 2>$(VENV)/uv.log || { \
	  echo "uv could not install the lock (see $(VENV)/uv.log); pip goes on, in a few minutes ..."; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK); }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# PyTorch, the benchmarks' peer, lives apart. A CPU build is all that is wanted of it, and --no-deps
# keeps CUDA's packages out where the index has no such build.
$(TORCH)/.installed: benchmarks/requirements-torch.lock
	@echo "Setting up $(TORCH) from $< ..."
	@test -x $(TORCH)/bin/python || $(PYTHON) -m venv $(TORCH)
	@$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torch==2.13.0
	@touch $@

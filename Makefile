# Everything a user or CI needs; each target sets up what it lacks. `make help` lists them.
SHELL := /bin/bash
PYTHONS := 3.11 3.12 3.13
# pyenv's shims start the versions that are switched on; the others are asked for in its folder.
find = $(shell for p in python$(1) $${PYENV_ROOT:-~/.pyenv}/versions/$(1)*/bin/python; do $$p -c "" 2>/dev/null && echo $$p && break; done)
PYTHON ?= $(firstword $(foreach v,$(PYTHONS),$(call find,$v)))
CONFIG ?= configs/reviews.yaml
VENV := .venv
BIN := $(VENV)/bin
TORCH := .venv-torch
# An environment set up with GPU=1 stays one.
GPU ?= $(if $(wildcard $(VENV)/.installed-gpu),1)
PARTED := --numprocesses auto --maxprocesses 4
INSTALLED := $(VENV)/.installed$(if $(GPU),-gpu)

.PHONY: help setup retrain up down bench models faults test quick pythons lint types audit lock docs pictures clean

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

models: $(INSTALLED) ## What each model costs and gives (takes long); ARGS="--data DIR --only NAME --docs"
	@$(BIN)/python -m benchmarks.models $(ARGS)

faults: $(INSTALLED) ## Every fault, injected (takes long); ARGS="--only 'full disk' --quick --docs"
	@$(BIN)/python -m tests.faults $(ARGS)

# Modules go to the workers whole, as their tests share what they make, and the longest go first.
test: $(INSTALLED) lint types ## Lint, types and all tests
	@$(BIN)/python -m pytest $(PARTED) --dist loadfile --no-loadscope-reorder

quick: $(INSTALLED) ## The unit tests alone: no TensorFlow, no server, no long simulation
	@$(BIN)/python -m pytest $(PARTED) --dist worksteal -m "not slow"

pythons: $(INSTALLED) ## The unit tests on every other supported Python that is here, each in a .venv-3.x
	@$(foreach v,$(PYTHONS),$(BIN)/python$v -c "" 2>/dev/null || $(if $(call find,$v), \
	  { echo "The unit tests on Python $v:"; $(MAKE) --no-print-directory quick PYTHON=$(call find,$v) VENV=.venv-$v GPU=; }, \
	  echo "Python $v is not here: nothing was tested on it") || exit;)

lint: $(INSTALLED)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo

types: $(INSTALLED)
	@$(BIN)/mypy

audit: $(INSTALLED) ## Ask PyPI for known vulnerabilities of all pins (wants the internet)
	@$(BIN)/uv tool run pip-audit --requirement requirements.lock --disable-pip --require-hashes --strict

# One lock serves every supported Python. What all its lines would say of the machine and the Python
# ([tool.uv] in pyproject.toml) is left out: the markers that stay tell the Pythons apart.
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 \
  --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet
MEANT := python_full_version < '3\.14'|platform_machine == 'x86_64'|platform_python_implementation == 'CPython'|sys_platform == 'linux'
lock: $(INSTALLED) ## Remake requirements.lock from pyproject.toml (UPGRADE=1 takes newer releases)
	@$(COMPILE) pyproject.toml --extra dev --group embedded \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@$(COMPILE) pyproject.toml --extra dev --extra gpu --group embedded \
	  --constraint requirements.lock --output-file requirements-gpu.lock
	@$(COMPILE) deployments/containers.in \
	  --constraint requirements.lock --output-file deployments/containers.lock
	@$(COMPILE) benchmarks/requirements-torch.in \
	  $(if $(UPGRADE),--upgrade) --output-file benchmarks/requirements-torch.lock
	@sed -Ei "s/( and )?($(MEANT))//g; s/ ; +and / ; /; s/ ; +(\\\\?)$$/ \1/" \
	  requirements.lock requirements-gpu.lock deployments/containers.lock benchmarks/requirements-torch.lock

docs: $(INSTALLED) ## Remake the parts of the docs that come from the code
	@$(BIN)/python -m incumbent.cli.config_reference
	@$(BIN)/python docs/architecture.py

pictures: $(INSTALLED) ## Remake the README's pictures from the last run here (wants chromium)
	@$(BIN)/python -m tests.web.pictures

clean: down ## Remove the environment and every cache, but no model and no record of the inbox
	rm -rf $(VENV) .venv-3.* $(TORCH) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	@# .incumbent/watched is no cache: without it, all files of the inbox are trained on again.
	@if test -d .incumbent; then \
	  find .incumbent -mindepth 1 -maxdepth 1 ! -name watched -exec rm -rf {} +; \
	  rmdir --ignore-fail-on-non-empty .incumbent; \
	fi

# uv installs the lock in seconds; where it cannot reach the registry that pip is set up for,
# pip installs the same pins. Both check the same hashes, and neither follows dependencies. Both
# compile: Python would do it at each start where it is told to write no bytecode, as in containers.
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
$(INSTALLED): $(LOCK) pyproject.toml
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
	  echo "Python 3.11, 3.12 or 3.13 is wanted, and $(or $(PYTHON),none of them) is here: install one, or name it with PYTHON=..." >&2; exit 2; }
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

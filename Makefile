# Kasbah. `make` lists the targets. Nothing here touches the system's Python: uv and the environment stay in this folder.
SHELL := /bin/bash
.DEFAULT_GOAL := help

UV_VERSION ?= 0.13.9
PYTHON ?= python3
TOOLS := .tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
RUN := $(UV) run --frozen --no-sync
STAMP := .venv/.synced

##@ Start here
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install what is missing into this folder

demo: $(STAMP) ## Watch a shop's batches and two streams load, governed
	@$(RUN) python -m local.demo

##@ Check
test: $(STAMP) ## All tests; they start the services they need
	@$(RUN) pytest

soak: $(STAMP) ## A hundred kills of collectors, consumers, Spark and servers under load
	@KASBAH_KILLS=100 $(RUN) pytest -s --timeout 5400 tests/e2e/test_stream_kills.py

lint: $(STAMP) ## Style, types and layers
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) lint-imports

bench: $(STAMP) ## Benchmarks, each beside its peer in the same run -> benchmarks/results.json
	@$(RUN) python -m benchmarks

##@ Services
services: $(STAMP) ## Start the local services (stop them with make stop)
	@$(RUN) python -m local up

status: $(STAMP) ## Show the local services
	@$(RUN) python -m local status

stop: $(STAMP) ## Stop the local services
	@$(RUN) python -m local down

##@ Tidy
clean: ## Stop the services and remove the environment, tools and state of this folder
	@if [ -x .venv/bin/python ]; then .venv/bin/python -m local down; fi
	@rm -rf .venv .tools .state

$(STAMP): pyproject.toml uv.lock
	@if [ "$(UV)" = "$(TOOLS)/bin/uv" ] && [ ! -x "$(UV)" ]; then \
		echo "Installing uv $(UV_VERSION) into $(TOOLS)/"; \
		$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: set PYTHON=…" if sys.version_info < (3, 11) else 0)' && \
		$(PYTHON) -m venv $(TOOLS) && $(TOOLS)/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"; \
	fi
	@echo "Installing into .venv (about 1 GB, once)"
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $(STAMP)

.PHONY: help setup demo test soak lint bench services status stop clean

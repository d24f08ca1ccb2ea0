# `make help` lists the targets. Everything is set up on the way: a virtual environment in .venv, wheels with hashes.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
TEST_PACKAGES := libgomp1: chromium:chromium prometheus:promtool prometheus-alertmanager:amtool
# Tests that measure no time run two at a time, beside the one that mostly waits for alerts; the others one after the other.
SIDE_BY_SIDE := $(addprefix tests/,clients contracts domains drill foundation gateway inference isolation kit observability portal providers simulation telemetry tools)
COMPILE_PACKAGES := gcc:cc libc6-dev: python3-dev:
BENCH_PACKAGES := wrk:wrk nginx:nginx gcc:cc libc6-dev: libnginx-mod-http-lua: lua-cjson:

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.server ## Make .venv with the omni command.

demo: setup ## Start the platform, take the guided tour, keep serving until Ctrl-C (OMNI_DEMO_EXIT=1: end after the tour).
	@$(BIN)/omni demo --up

up: setup ## Start the platform and keep it running until Ctrl-C.
	@$(BIN)/omni up

test: .venv/.dev tests/clients/node/node_modules/.ready ## Run every test.
	@tools/debian_packages.sh $(TEST_PACKAGES)
	$(BIN)/pytest -q --durations=10 -n 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/pytest -q --durations=20 $(addprefix --ignore=,$(SIDE_BY_SIDE))

check: .venv/.dev ## Format, lint, types, import contracts, house rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	$(BIN)/python -m tools.house_lints
	$(BIN)/python -m tools.observability --check

format: .venv/.dev ## Put the code into its format.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

compiled: .venv/.dev ## Compile the gateway's hot path (some minutes); `omni serve gateway` then runs it.
	@tools/debian_packages.sh $(COMPILE_PACKAGES)
	$(BIN)/python -m tools.compile_gateway

bench: .venv/.dev compiled ## Run all benchmarks; each writes bench/results/NAME.json and fails below its bars.
	@tools/debian_packages.sh $(BENCH_PACKAGES)
	$(BIN)/python -m bench

bench-gateway: compiled

bench-%: .venv/.dev
	@tools/debian_packages.sh $(BENCH_PACKAGES)
	$(BIN)/python -m bench $*

quality: .venv/.dev ## How good the answers are, beside named references; fails where they are worse.
	$(BIN)/python -m bench.quality

soak: .venv/.dev ## The long tests.
	$(BIN)/pytest -q -m soak

drill: .venv/.dev ## Break one thing after the other, and see how soon it is noticed (real Prometheus and Alertmanager).
	@tools/debian_packages.sh $(TEST_PACKAGES)
	$(BIN)/python -m tests.drill.drill

lock: .venv/.dev ## Resolve requirements/*.in into hashed locks.
	cd requirements && for name in server dev; do \
	  ins=server.in; [ $$name = dev ] && ins="server.in dev.in"; \
	  ../$(BIN)/uv pip compile --universal --python-version 3.11 --quiet --override overrides.in \
	    --generate-hashes --no-emit-index-url --no-header $$ins -o $$name.txt; done

clean: ## Remove what setup made; the state in .omni stays.
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Omni needs Python 3.11 or newer: install it (Debian, Ubuntu: apt install python3 python3-venv) or say make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  rm -rf .venv; echo "The venv module is missing: apt install python3-venv" >&2; exit 1; }

.venv/.server: .venv/bin/python requirements/server.txt pyproject.toml
	@echo "Installing Omni into .venv (some minutes the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/server.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

.venv/.dev: .venv/.server requirements/dev.txt
	@echo "Installing what the checks and tests need"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

tests/clients/node/node_modules/.ready: tests/clients/node/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { \
	  echo "The tests of Node clients need Node.js 20 or newer and npm on PATH: install them (Debian, Ubuntu: apt install nodejs npm)" >&2; exit 1; }
	@cd tests/clients/node && npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: help setup demo up test check format compiled bench quality soak drill lock clean

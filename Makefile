# `make` lists the commands. The work is in scripts/; nothing here needs more than make, bash, Python 3.11+ and,
# for `make test`, Node 20+.

PORT    ?= 8000
DATA    ?= demo-data
ACCESS  ?= 15
OVERLAP ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test bench soak lint format lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Install the server into .venv (PYTHON=/path/to/python3 to choose one)
	@scripts/setup.sh server

setup-dev: ## Install the server and everything the checks need into .venv
	@scripts/setup.sh dev

# exec: make's child is then the server itself, so that Ctrl-C and SIGTERM reach it and its exit status is make's.
demo: setup ## Start the demo here: PORT=8000 DATA=demo-data ACCESS=15 OVERLAP=3 (seconds)
	@exec .venv/bin/evertoken demo --port '$(PORT)' --data '$(DATA)' --access '$(ACCESS)' --overlap '$(OVERLAP)'

test: setup-dev ## Run every check, the tests last
	@scripts/test.sh

bench: setup-dev ## Measure, and print the figures
	@.venv/bin/python -m bench

soak: setup-dev ## Run the long form of the tests
	@.venv/bin/pytest -m soak

lint: setup-dev ## Run the checks that read the code: ruff, mypy, lint-imports
	@scripts/test.sh lint

format: setup-dev ## Format the code and apply ruff's safe fixes
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

lock: setup ## Bring the lock files up to date with pyproject.toml and package.json (UPGRADE=1: newest of everything)
	@UPGRADE='$(UPGRADE)' scripts/lock.sh

clean: ## Remove .venv, caches and build output (demo data stays)
	@rm -rf .venv build dist src/*.egg-info tests/*/node_modules examples/*/node_modules browser/node_modules
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis
	@find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

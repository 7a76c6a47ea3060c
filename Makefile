# Everything is run from .venv, which make itself makes from python3 (3.11 or newer, with venv).

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ON_ALL_CORES := --numprocesses=auto --dist=loadfile
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test long test-plugin faults check bench reference format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## set up, then watch a confidential list at work
	@$(BIN)/python examples/demo.py

test: $(READY)  ## set up, then run every test but the long ones and the faults
	@$(BIN)/python -m pytest -q $(ON_ALL_CORES) --ignore=tests/faults -m 'not long and not plugin'

long: $(READY)  ## benchmarks run small, large posts, many people, browsers, mail servers and programs
	@$(BIN)/python -m pytest -q $(ON_ALL_CORES) --ignore=tests/faults -m long

test-plugin: $(READY)  ## build the Thunderbird extension, and run its tests, there too
	@cd plugins/thunderbird && npm ci --silent && npm test --silent && npm run --silent build
	@$(BIN)/python -m pytest -q tests/plugin -m plugin

faults: $(READY)  ## kills, power cuts, full disks, broken peers: prints its ledgers (minutes, root)
	@$(BIN)/python -m pytest -q tests/faults

check: $(READY)  ## format, lint, types, architecture and citations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_citations.py

bench: $(READY)  ## measure: partials, seals, openings, splits; posts, copies, RecryptData; members
	@$(BIN)/python benchmarks/partials.py
	@$(BIN)/python -m benchmarks.acceptance --posts 1000 --rounds 3
	@$(BIN)/python -m benchmarks.fanout --members 500 --rounds 3 --parts --asked
	@$(BIN)/python -m benchmarks.recrypting --requests 500 --rounds 3
	@$(BIN)/python -m benchmarks.groups --members 100,400 --quiet 1
	@$(BIN)/python -m benchmarks.oracle_times

reference: $(READY)  ## make docs/openapi.json and docs/messages.md of the code and the spec
	@$(BIN)/python -m reference

format: $(READY)  ## lay the sources out and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove .venv and every cache
	@rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache dist build \
	  plugins/thunderbird/dist plugins/thunderbird/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than pyproject.toml when all that it names is installed. A .venv whose pip does
# not run (its making was cut off) is made anew. pip reads dependency groups from 25.1 on; the one
# that Debian 12 puts into a new .venv is older.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once; about a minute) ..."
	@$(BIN)/pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { \
	  echo "make: $(PYTHON) can't make .venv; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable . --group dev
	@touch $@

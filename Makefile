# fangzhi: every target sets up what it needs in .venv, from the hash-locked lists in locks/.
#
#   make demo [ARGS="--once"]   found a three-tier network on this machine and show it
#   make test                   lint, types, import rules and every test
#   make check                  lint, types and import rules only
#   make torture                the simulation for an hour: seed after seed (docs/torture.md)
#   make bench                  the benchmarks, one after the other
#   make lock                   resolve pyproject.toml anew into locks/

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
  $(shell $(p) -c 'import sys; print("$(p)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: demo test check torture bench lock browser environment
.DELETE_ON_ERROR:

demo: $(VENV)/run.stamp
	@$(BIN)/fangzhi demo $(ARGS)

test: check browser
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Goes on where it stopped: seeds that build/torture.jsonl has are not played again.
HOURS ?= 1
torture: $(VENV)/dev.stamp
	@$(BIN)/python -m simulations sweep --seeds 1..100000 --jobs $(WORKERS) --hours $(HOURS) \
	  --state build/torture.jsonl $(ARGS)

bench: $(VENV)/dev.stamp
	@$(PIP) install "matplotlib>=3.10,<4" "tantivy>=0.27,<1"
	@status=0; for file in benchmarks/*.py; do echo "== $$file"; \
	$(BIN)/python -m benchmarks.$$(basename $$file .py) || status=1; done; exit $$status

# Upgrades everything that pyproject.toml allows; dev.txt agrees with run.txt package by package.
lock: $(VENV)/dev.stamp
	$(COMPILE) --upgrade --extra demo pyproject.toml locks/build.in -o locks/run.txt
	$(COMPILE) --upgrade --extra dev -c locks/run.txt pyproject.toml locks/build.in -o locks/dev.txt

# Page tests drive a real Chromium; without one they are skipped, and the summary says so.
browser:
	@tests/browser.sh
	@tests/page/packages.sh

environment: $(VENV)/dev.stamp

$(VENV)/run.stamp: $(BIN)/python locks/run.txt pyproject.toml
	@echo "installing locks/run.txt into $(VENV) (once)"
	@$(PIP) install --require-hashes -r locks/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# dev.txt holds all of run.txt, so both stamps are good afterwards.
$(VENV)/dev.stamp: $(BIN)/python locks/dev.txt pyproject.toml
	@echo "installing locks/dev.txt into $(VENV) (once)"
	@$(PIP) install --require-hashes -r locks/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/run.stamp $@

# No prerequisites: once the interpreter is there it is never made again.
$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	  echo "fangzhi needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Everything is done in one virtual environment, made and kept by `make install`, which every other target asks for.
# Tests wait for processes and terminals, so that two cores are busy with three workers.

PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV    ?= .venv
WORKERS ?= 3

PY      := $(VENV)/bin/python
STAMP   := $(VENV)/.installed
PYTEST  := $(PY) -m pytest
# The shape-checking hook breaks torch.compile(fullgraph=True), and costs time that a benchmark must not count.
NO_HOOK := -o addopts="--import-mode=importlib --strict-config --strict-markers -rfEsxX"

# A lane that has no test yet is not a failure; pytest says 5.
lane = $(PYTEST) $(1) || { code=$$?; [ $$code -eq 5 ] && echo "(no test in this lane)" || exit $$code; }

# Some machines forbid Python to keep what it compiles: then every process of a test compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-main test-compiled test-matrix test-slow test-campaigns test-gpu screens bench lint format clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## .venv with pgsynth, every extra but bnb, and the tools, at the tested versions

# Compiled on all cores, which pip does on one; some files are templates, and of no Python.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "pgsynth needs Python 3.11 or newer and none was found: make PYTHON=/path/to/python"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --no-compile --constraint constraints.txt --editable '.[all,dev]'
	@$(PY) -m compileall -qq -j 0 $(VENV)/lib || :
	@touch $@

demo: install ## a small method, composed, trained, sampled and scored on this machine, in minutes
	$(VENV)/bin/pgsynth demo

test: install ## lint, beside it the combinations, then every other test a bare CPU machine can run in minutes
	@$(MAKE) --no-print-directory --jobs=2 lint test-matrix
	@$(MAKE) --no-print-directory test-main test-compiled

test-main: install ## the tests, shapes checked
	$(PYTEST) -n $(WORKERS) --dist worksteal --durations=25

test-compiled: install ## torch.compile against eager, without the shape-checking hook
	$(call lane,$(NO_HOOK) -n $(WORKERS) --dist worksteal -m "compiled and not (slow or gpu)")

test-matrix: install ## combinations of parts, every pair of parts in one of them, without the shape-checking hook
	$(call lane,$(NO_HOOK) -n $(WORKERS) --dist worksteal -m "matrix and not slow" tests/matrix)

test-slow: install ## the long tests
	$(call lane,-n $(WORKERS) --dist worksteal -m "slow and not (compiled or matrix or gpu)")
	$(call lane,$(NO_HOOK) -m "slow and compiled and not gpu")
	$(call lane,$(NO_HOOK) -n $(WORKERS) --dist worksteal -m "slow and matrix")

test-campaigns: install ## of the long tests, those that kill runs, damage files and fill disks, and real sizes
	$(call lane,-m slow tests/campaigns)

test-gpu: install ## the tests that need a CUDA device; skipped with the reason where there is none
	@if $(PY) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		set -e; $(call lane,-m "gpu and not compiled"); $(call lane,$(NO_HOOK) -m "gpu and compiled"); \
	else \
		echo "make test-gpu: skipped, this machine has no CUDA device that torch can see"; \
	fi

screens: install ## the screens of the terminal UI written anew, to be looked at: tests/tui/screens
	PGSYNTH_WRITE_SCREENS=1 $(PYTEST) tests/tui/test_screens.py

bench: install ## time and memory, printed
	$(call lane,$(NO_HOOK) -s -m bench)

lint: install ## ruff, mypy and the import floors
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: install ## ruff's formatter, and the fixes it is sure of
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

clean: ## caches and builds; .venv and runs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# `make demo` and `make test` do all the set-up that a fresh machine needs, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := .venv-core

.PHONY: demo test check sweep bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/boxwright demo $(if $(QUICK),--quick) --out $(or $(OUT),runs/demo)

test: check $(CORE)/.installed
	OMP_NUM_THREADS=1 BOXWRIGHT_CORE=$(CURDIR)/$(CORE)/bin $(BIN)/python -m pytest -n 2 --durations=15 -m "not slow"

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Long runs: everything, the slow tests too.
sweep: $(VENV)/.installed $(CORE)/.installed
	BOXWRIGHT_CORE=$(CURDIR)/$(CORE)/bin $(BIN)/python -m pytest

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

# What `pip install boxwright` alone gives: no torch. Tests of the deployed path run in it.
$(CORE)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/python -m pip install -q -c constraints.txt -e .
	touch $@

clean:
	rm -rf $(VENV) $(CORE) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

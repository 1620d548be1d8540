# Everything runs in a virtual environment of its own; override VENV to put it elsewhere.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SUITE ?= standard
WORKERS ?= 2

.PHONY: install leaderboard test test-all lint bench docs

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[all,dev]'
	touch $@

leaderboard: install
	$(BIN)/or-bench leaderboard --suite $(SUITE)

test: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

test-all: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks.throughput

docs: install
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

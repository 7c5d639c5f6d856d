# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check clean

run: .venv/installed
	$(BIN)/python -m ablate run axes=insertion,memory

test: .venv/installed-dev check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install -e . -c constraints.txt
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) install -e '.[dev]' -c constraints.txt
	touch $@

clean:
	rm -rf .venv

# Everything sets itself up: python3 (3.11 or newer) with pip and venv is all that must be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test lint format lock test-deps clean

run: $(VENV)/run.stamp
	@$(BIN)/python -m bridge.serve --local

test: lint
	@$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Debian packages for the tests that want them; those who lack a package are skipped and named.
test-deps:
	@true

# requirements*.txt pin what pyproject.toml asks for.
lock: $(VENV)/dev.stamp
	@$(BIN)/pip-compile --upgrade --no-header --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile --upgrade --no-header --extra dev --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

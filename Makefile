# Each target installs what it needs; only python3 (3.11 or newer) with pip and venv is required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .venv-clients
AUDIT := .venv-audit
ENGINE ?= docker
UNMEASURED := tests/faults tests/browser tests/clients tests/test_changes.py tests/security/test_100_kb_under_50_ms.py
FLOOR := 95
NODE_MODULES := tests/clients/node_modules tests/browser/node_modules
BENCH := bench/.venv
DEPLOYED := .venv-deployed
DEBIAN := gir1.2-ical-3.0 python3-gi ruby ruby-icalendar chromium chromium-driver \
	nginx-light caddy prometheus $(if $(shell command -v npm),,nodejs npm)
# Each test file in one process, in the order of tests/conftest.py: the longest first.
BY_FILE := --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes, which would compile the bridge each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test thorough flood faults cold-feed studios bench lint format clients screenshots coverage \
	audit image lock test-deps clean

run: $(VENV)/run.stamp
	@$(BIN)/python -m bridge.server --local

# Four test files run at a time, because tests often wait for real processes.
test: lint clients
	@$(BIN)/python -m pytest -n 4 $(BY_FILE)

# All tests, with every combination and the largest sizes instead of samples of them.
thorough: export THOROUGH := 1
thorough: test

# Measures the bridge and the servers that it is compared with, three times, and writes
# docs/performance.md. Takes a quarter of an hour.
bench: DEBIAN := nginx-light wrk
bench: $(VENV)/dev.stamp $(BENCH)/stamp $(DEPLOYED)/stamp test-deps
	@BRIDGE_PYTHON=$(DEPLOYED)/bin/python $(BIN)/python -m bench --open-web-calendar $(BENCH)/bin/python

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Installs the calendar clients that read the feeds in tests, in their own environment because their
# libraries differ from the bridge's; and the checkers of the pages.
clients: $(CLIENTS)/stamp $(if $(shell command -v npm),$(addsuffix /stamp,$(NODE_MODULES)))

# Takes the pictures of the README, of today's sandbox. They look best with fonts-urw-base35,
# fonts-noto-core and fonts-noto-cjk installed.
screenshots: $(VENV)/dev.stamp
	@cd tests && PYTHONPATH=.. ../$(BIN)/python -m browser.screenshots

# Installs Debian packages that some tests need; without them these tests are skipped, with a message.
# Debian starts nginx, Caddy and Prometheus on machines with systemd; the tests start their own.
# `make bench` needs other packages.
test-deps:
	@missing=$$(for package in $(DEBIAN); do \
		dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
			|| echo $$package; \
	done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "please install these Debian packages, or their equivalents:" $$missing; exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing

# Requests 100,000 made-up filter sets from one client and from many, for each UPSTREAM_PLAN. Takes
# about twenty minutes.
flood: $(VENV)/dev.stamp
	@cd tests && PYTHONPATH=.. ../$(BIN)/python -m security.flood

# The tests of faults once more, on a timetable of ordinary classes instead of course sessions.
faults: $(VENV)/dev.stamp
	@TESTED_LIST=events $(BIN)/python -m pytest -n 4 $(BY_FILE) tests/faults

# How long a first feed of both lists takes, against a plain client that requests the same pages.
cold-feed: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -q tests/whole_timetable/cold_feed.py

# Two hundred studios in one deployment: memory, start, requests to upstream, and what one studio that
# hangs or is flooded costs the others. Takes ten minutes.
studios: $(VENV)/dev.stamp
	@$(BIN)/python -m bench.many_studios

# Branch coverage, also of servers that tests start. Excludes tests of timing, which coverage slows
# down, and the tests of faults, browsers and clients, which add little coverage. Takes as long as
# `make test`.
coverage: $(VENV)/dev.stamp
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 2 $(BY_FILE) -k 'not under_50_ms and not at_once' \
		$(addprefix --ignore ,$(UNMEASURED))
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under $(FLOOR)

# Checks the pinned dependencies for known vulnerabilities, at the package index.
audit: $(AUDIT)/stamp
	@$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off \
		$(foreach file,$(wildcard requirements*.txt tests/clients/requirements.txt),--requirement $(file))

image:
	$(ENGINE) build --tag teamup-feed-bridge .

# Updates the pinned versions in requirements*.txt.
lock: $(VENV)/dev.stamp
	@$(BIN)/pip-compile --upgrade --no-header --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile --upgrade --no-header --extra dev --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml
	@$(BIN)/pip-compile --upgrade --no-header --config pyproject.toml \
		--output-file tests/clients/requirements.txt tests/clients/requirements.in
	@$(BIN)/pip-compile --upgrade --no-header --config pyproject.toml \
		--output-file bench/requirements.txt bench/requirements.in

clean:
	rm -rf $(VENV) $(CLIENTS) $(BENCH) $(DEPLOYED) $(AUDIT) $(NODE_MODULES)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

# Only what a deployment has: structlog would load some of the development packages.
$(DEPLOYED)/stamp: requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv $(DEPLOYED)
	@$(DEPLOYED)/bin/python -m pip install --quiet -r requirements.txt
	@touch $@

$(BENCH)/stamp: bench/requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet -r bench/requirements.txt
	@touch $@

$(CLIENTS)/stamp: tests/clients/requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet -r tests/clients/requirements.txt
	@touch $@

# Always the newest pip-audit, which supports the current vulnerability services.
$(AUDIT)/stamp: requirements.txt requirements-dev.txt | $(BIN)/python
	@$(BIN)/python -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --upgrade pip-audit
	@touch $@

%/node_modules/stamp: %/package-lock.json
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

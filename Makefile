# Only git, make and a Python from 3.11 on are assumed. What is installed lives in .venv, what is built in dist.
# Stamps in .venv/.stamps say what is done already, so that a second run does only what has changed.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMPS := .venv/.stamps
PACKAGES := auditstream consumers producers query schemas sinks
SOURCES := $(shell find $(PACKAGES) -type f -not -path '*/__pycache__/*') pyproject.toml README.md LICENSE
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CHECKED := $(PACKAGES) deploy tests $(wildcard benchmarks)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install develop demo test test-all check bench bench-full fuzz format docs lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMPS)/warm ## create .venv, install the locked dependencies and the wheel, compile the decoder

demo: $(STAMPS)/warm ## run everything embedded and show it at work; options in ARGS, e.g. ARGS="--once --events 20000"
	@$(BIN)/auditstream demo $(ARGS)

test: $(STAMPS)/warm $(STAMPS)/dev ## build the wheel and test it: unit, property, contract, integration; ARGS go to pytest
	AUDITSTREAM_TEST_WHEEL=1 $(BIN)/pytest -m "not slow" $(ARGS)

test-all: $(STAMPS)/warm $(STAMPS)/dev ## the same with the tests that take minutes
	AUDITSTREAM_TEST_WHEEL=1 $(BIN)/pytest $(ARGS)

check: $(STAMPS)/dev ## format, lint, types (tests too), direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports

bench: $(STAMPS)/warm $(STAMPS)/dev ## measure, five minutes at most: benchmarks/results/latest.json and the README's table
	$(BIN)/python -m benchmarks run

bench-full: $(STAMPS)/warm $(STAMPS)/dev ## the long one, an hour or so, with another tool beside ours
	$(BIN)/python -m benchmarks run --plan full

fuzz: $(STAMPS)/warm $(STAMPS)/dev ## compare the decoder with fastavro on mutated messages; options in ARGS, e.g. ARGS="--inputs 10000000"
	$(BIN)/python tests/fuzz_decoder.py $(ARGS)

format: $(STAMPS)/dev ## format and sort imports
	$(BIN)/ruff check --select I --fix --quiet .
	$(BIN)/ruff format .

develop: $(STAMPS)/dev ## install the packages as they lie here instead of the wheel, for work on them
	$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(STAMPS)/wheel $(STAMPS)/warm

docs: $(STAMPS)/wheel ## write the generated pages of docs again
	$(BIN)/auditstream settings --docs > docs/settings.md
	$(BIN)/auditstream settings --readme README.md
	$(BIN)/auditstream catalogue docs --output docs/events.md

# uv resolves for every platform and Python at once; plain pip installs what it wrote. LOCK_ARGS=--upgrade for newer ones.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)
lock: $(STAMPS)/dev ## resolve the dependencies again and write the lock files
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group build -c requirements.lock -o requirements-build.lock
	$(LOCK) pyproject.toml --group build --group dev -c requirements.lock -c requirements-build.lock -o requirements-dev.lock

clean: ## remove what was built and installed
	rm -rf .venv dist build .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "auditstream needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module: install it (on Debian and Ubuntu the package is python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: $(STAMPS)/venv requirements.lock requirements-build.lock
	@echo "installing the locked dependencies"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@touch $@

$(STAMPS)/dev: $(STAMPS)/venv requirements-dev.lock
	@echo "installing the locked tools of development"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Built without isolation, so that the build uses the locked back end and nothing else.
$(STAMPS)/wheel: $(STAMPS)/runtime $(SOURCES)
	@rm -rf dist
	@$(BIN)/python -m hatchling build --target wheel >/dev/null
	@$(PIP) --no-deps --force-reinstall dist/*.whl
	@touch $@

$(STAMPS)/warm: $(STAMPS)/wheel
	@$(BIN)/auditstream warm
	@touch $@

# Everything runs in .venv, made here from the user's own python3. A target installs what it needs and no
# more; what it installed is remembered by a stamp, which is stale once a file that decides it changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt setup.py $(wildcard src/aldis/core/*.[ch])
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# What is run a second time, on the Python twin of the call loop.
ENGINE_TESTS := tests/core tests/observe tests/seeds tests/test_receivers.py tests/test_blinker.py

# The build tools are installed first and used as they are, so that they too are the pinned ones.
define install
	$(PIP) install -c constraints.txt setuptools
	$(PIP) install -c constraints.txt --no-build-isolation -e ".[$(1)]"
	@touch $@
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-serve test lint types docs bench bench-durable downstream downstream-ckan kill mutants sanitize extras coverage clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='|' read -r target what; do printf '%-20s %s\n' "$$target" "$$what"; done

demo: $(VENV)/.demo  ## run the example shop once, in the terminal
	$(BIN)/python -m examples.shop.demo

demo-serve: $(VENV)/.demo  ## serve the example shop on this machine
	$(BIN)/python -m examples.shop.serve

test: $(VENV)/.test  ## run the tests (ARGS="-k word" chooses)
	$(BIN)/python -m pytest $(ARGS)
	$(if $(ARGS),,ALDIS_NO_EXTENSIONS=1 $(BIN)/python -m pytest $(ENGINE_TESTS))

lint: $(VENV)/.dev  ## check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev  ## check the source with mypy, what users type with mypy and pyright
	$(BIN)/mypy
	$(BIN)/pyright --version  # where a checker is missing, its tests are skipped; not so here
	$(BIN)/python -m pytest tests/typing

docs: $(VENV)/.docs  ## build the documentation; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -n -q -E -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/.bench  ## measure against other libraries: first signals, then durable receivers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.durable

bench-durable: $(VENV)/.bench  ## measure durable receivers alone (needs PostgreSQL, MariaDB and Redis)
	$(BIN)/python -m benchmarks.durable $(ARGS)

downstream: $(VENV)/.test  ## run other people's libraries on aldis
	$(BIN)/python -m tests.downstream

downstream-ckan: $(VENV)/.test  ## run CKAN's tests of signals on aldis (needs PostgreSQL and Redis)
	$(BIN)/python -m tests.ckan.downstream

kill: $(VENV)/.test  ## kill web processes and workers, break connections (ARGS="--rounds 300")
	$(BIN)/python -m tests.durable.kill $(ARGS)

mutants: $(VENV)/.test  ## break the engine on purpose, and demand that the tests notice
	$(BIN)/python tools/mutants.py $(ARGS)

sanitize: $(VENV)/.test  ## run the engine's tests on a compiled twin with AddressSanitizer
	tools/sanitize.sh $(BIN)/python $(ARGS)

extras: $(VENV)/.made  ## install the wheel with each extra alone, on every Python found (ARGS="--only flask" chooses)
	$(BIN)/python tools/extras.py $(ARGS)

coverage: $(VENV)/.test  ## run the tests and demand that they cover the source
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow" $(ARGS)
	ALDIS_NO_EXTENSIONS=1 $(BIN)/coverage run -m pytest -m "not slow" $(ENGINE_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

clean:  ## remove all that is made here
	rm -rf $(VENV) build dist docs/_build src/*.egg-info htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests examples benchmarks -name '*.so' -delete 2>/dev/null || true
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo 'aldis needs Python 3.11 or newer, and there is no "$(PYTHON)" here.' \
			'Install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'aldis needs Python 3.11 or newer, and "$(PYTHON)" is' \
			"$$("$(PYTHON)" --version 2>&1). Name a newer one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '"$(PYTHON)" cannot make virtual environments: install the package python3-venv.' >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made $(INPUTS)
	$(call install,cli$(comma)durable$(comma)flask$(comma)oauth)

$(VENV)/.test: $(VENV)/.made $(INPUTS)
	$(call install,test)

$(VENV)/.dev: $(VENV)/.made $(INPUTS)
	$(call install,dev)

$(VENV)/.docs: $(VENV)/.made $(INPUTS)
	$(call install,docs)

$(VENV)/.bench: $(VENV)/.made $(INPUTS)
	$(call install,bench)

comma := ,

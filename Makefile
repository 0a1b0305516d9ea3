# Everything runs in .venv, which make creates from your own python3. Each target installs only what it
# needs. A stamp in .venv records the install; a newer pyproject.toml, for example, makes it stale.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt setup.py $(wildcard src/aldis/core/*.[ch])
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The number of processes that run tests. With 0, and with ARGS, pytest runs them itself.
JOBS ?= $(if $(ARGS),0,auto)
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist worksteal

# The tests of a contributor, and all tests but those of other projects.
FAST := -m "not slow and not service and not stress and not downstream"
ALL := -m "not downstream"

# The tests that run on both engines.
ENGINE_TESTS := tests/core tests/observe tests/seeds tests/test_receivers.py tests/test_blinker.py

# pip installs the build tools first and builds with them, so that their versions are pinned too.
define install
	$(PIP) install -c constraints.txt setuptools
	$(PIP) install -c constraints.txt --no-build-isolation -e ".[$(1)]"
	@touch $@
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo demo-serve test check test-python-engine test-all nightly lint types docs bench bench-durable \
	downstream downstream-ckan kill mutants sanitize fuzz extras coverage sdist test-sdist clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='|' read -r target what; do printf '%-26s %s\n' "$$target" "$$what"; done

demo: $(VENV)/.demo  ## run the example shop once, in the terminal
	$(BIN)/python -m examples.shop.demo

demo-serve: $(VENV)/.demo  ## serve the example shop and its dashboard on this machine
	$(BIN)/python -m examples.shop.serve

test: $(VENV)/.test  ## run the fast tests (ARGS="-k word" chooses)
	@$(BIN)/python tools/announce.py fast
	$(PYTEST) $(FAST) $(ARGS)

check: lint types test  ## run lint, types and the fast tests; do it before a pull request

test-python-engine: $(VENV)/.test  ## run the fast tests of the engines on the Python engine
	ALDIS_NO_EXTENSIONS=1 $(PYTEST) $(FAST) $(ENGINE_TESTS)

test-all: $(VENV)/.test  ## run all tests, on both engines (needs PostgreSQL, MariaDB and Node.js)
	@$(BIN)/python tools/announce.py all
	$(PYTEST) $(ALL) $(ARGS)
	$(if $(ARGS),,ALDIS_NO_EXTENSIONS=1 $(PYTEST) $(ALL) $(ENGINE_TESTS))

nightly:  ## run the long checks, one after the other (takes hours; ARGS="mutants extras" chooses)
	.ci/nightly $(ARGS)

lint: $(VENV)/.dev  ## check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev  ## check the source with mypy, and the types for users with mypy and pyright
	$(BIN)/mypy
	$(BIN)/pyright --version  # the tests of a missing type checker are skipped; here both must run
	$(BIN)/python -m pytest tests/typing

docs: $(VENV)/.docs  ## build the documentation; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -n -q -E -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/.bench  ## measure aldis and other libraries: signals, then durable receivers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.durable

bench-durable: $(VENV)/.bench  ## measure durable receivers (needs PostgreSQL, MariaDB and Redis)
	$(BIN)/python -m benchmarks.durable $(ARGS)

downstream: $(VENV)/.test  ## run the tests of blinker and Flask on aldis (ARGS=--all runs all suites)
	$(BIN)/python -m tests.downstream $(ARGS)

downstream-ckan: $(VENV)/.test  ## run CKAN's tests of signals on aldis (needs PostgreSQL and Redis)
	$(BIN)/python -m tests.ckan.downstream

kill: $(VENV)/.test  ## kill web processes and workers, break connections (ARGS="--rounds 300")
	$(BIN)/python -m tests.durable.kill $(ARGS)

mutants: $(VENV)/.test  ## break the engines on purpose: the tests must notice each fault
	$(BIN)/python tools/mutants.py $(ARGS)

sanitize: $(VENV)/.test  ## run the tests of the C engine under AddressSanitizer
	tools/sanitize.sh $(BIN)/python $(ARGS)

fuzz: $(VENV)/.test  ## run random programs under AddressSanitizer (ARGS="--seconds 600 --seed 7")
	tools/sanitized.sh $(BIN)/python tools/fuzz.py $(ARGS)

extras: $(VENV)/.made  ## install the wheel with each extra, on each Python (ARGS="--only flask" chooses)
	$(BIN)/python tools/extras.py $(ARGS)

coverage: $(VENV)/.test  ## run all tests that are not slow: they must cover the source
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow and not downstream" $(ARGS)
	ALDIS_NO_EXTENSIONS=1 $(BIN)/coverage run -m pytest $(FAST) $(ENGINE_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

sdist: $(VENV)/.release  ## build the source distribution in dist
	rm -f dist/aldis-*.tar.gz
	$(BIN)/python -m build --sdist --no-isolation

test-sdist: sdist  ## run `make test` in the unpacked source distribution
	rm -rf build/sdist && mkdir -p build/sdist
	tar -xzf dist/aldis-*.tar.gz --strip-components=1 -C build/sdist
	$(MAKE) -C build/sdist test

clean:  ## remove everything that make created
	rm -rf $(VENV) build dist docs/_build src/*.egg-info htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests examples benchmarks -name '*.so' -delete 2>/dev/null || true
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo 'aldis needs Python 3.11 or newer, and "$(PYTHON)" is not on PATH.' \
			'Install it, or name another: make PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'aldis needs Python 3.11 or newer, and "$(PYTHON)" is' \
			"$$("$(PYTHON)" --version 2>&1). Name a newer one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '"$(PYTHON)" cannot create virtual environments. Install the package python3-venv.' >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made $(INPUTS)
	$(call install,cli$(comma)durable$(comma)flask$(comma)oauth$(comma)web)

$(VENV)/.test: $(VENV)/.made $(INPUTS)
	$(call install,test)

# The extra dev includes the extra test.
$(VENV)/.dev: $(VENV)/.made $(INPUTS)
	$(call install,dev)
	@touch $(VENV)/.test

$(VENV)/.docs: $(VENV)/.made $(INPUTS)
	$(call install,docs)

$(VENV)/.bench: $(VENV)/.made $(INPUTS)
	$(call install,bench)

$(VENV)/.release: $(VENV)/.made $(INPUTS)
	$(call install,release)

comma := ,

# Drover on one machine. It needs git, make and Python 3.11 to 3.13 with pip. `make help` lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON = $(shell local/find-python)
VENV = .venv/bin

# The tests start hundreds of Python processes. Without compiled modules each would take much longer to start.
test test-python test-long compiled-tests: export PYTHONDONTWRITEBYTECODE =

.PHONY: help up install install-dev frontend test built-front-end compiled-tests test-python test-long test-frontend static-checks lint format bench screenshots eval lock clean python-found

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

# The recipe is one plain command, so make runs it without a shell, and signals reach it.
up: install frontend ## run Drover on this machine with a demo (settings: PORT, DATABASE_URL, DROVER_HOME)
	@$(VENV)/python -m local up

install: python-found ## install the locked Python packages into .venv
	@$(PYTHON) -m local.install runtime

install-dev: python-found ## install the locked packages and the tools of `make test`
	@$(PYTHON) -m local.install dev

frontend: install ## build the front end if its sources changed
	@$(VENV)/python -m local.frontend

test: install-dev ## check everything: style, types, imports, front end, tests
	@$(MAKE) -j2 built-front-end compiled-tests
	@$(MAKE) -j3 test-python static-checks

built-front-end: install-dev
	@$(VENV)/python -m local.frontend

# In a new clone, each of the parallel processes of pytest would compile all modules, which takes 20 seconds of processor
# time. So one process compiles them, while the front end is built. It also prepares the database. Its errors are
# not shown, because pytest shows them again.
compiled-tests: install-dev
	@ls tests/__pycache__/conftest.*-pytest-*.pyc >/dev/null 2>&1 || $(VENV)/python -m pytest --collect-only >/dev/null 2>&1 || true

# Tests often wait for other processes, which leaves time for the linters and for the tests of the front end.
test-python: install-dev
	$(VENV)/python -m pytest -n 4 --dist worksteal

static-checks: install-dev
	@$(MAKE) --output-sync lint test-frontend

test-long: install-dev frontend ## run the long tests: more rounds, fault storms, fuzzing, mutants
	$(VENV)/python -m pytest -n 4 --dist worksteal -m long
	DROVER_FUZZ_EXAMPLES=15 $(VENV)/python -m pytest -n 2 tests/api/test_fuzz.py
	$(VENV)/python -m tests.mutants

test-frontend: install-dev
	$(VENV)/python -m local.frontend test

lint: install-dev ## check style, types, import contracts, Dockerfile, TypeScript
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy --strict apps bench config evaluations local tests manage.py
	$(VENV)/lint-imports
	$(VENV)/hadolint Dockerfile
	$(VENV)/python -m local.frontend lint

format: install-dev ## format the code and apply automatic fixes
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

bench: install-dev frontend ## print the figures of `manage.py bench`, about 15 minutes
	@$(VENV)/python -m local bench

screenshots: install-dev frontend ## photograph every page in both themes and three widths (FOLDER=screenshots)
	$(VENV)/python -m tests.screenshots $(or $(FOLDER),screenshots)

eval: install-dev ## evaluate the agent, see docs/howto/evaluations.md (OPTIONS="--model provider:name")
	@$(VENV)/python -m local eval $(OPTIONS)

lock: install-dev ## write the lock files again from pyproject.toml
	@$(VENV)/python -m local.lock

clean: ## remove build results; with DATA=yes also this installation's data
	@$(PYTHON) -m local clean

python-found:
	@local/find-python >/dev/null

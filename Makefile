# `make help` is the manual of this repository.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests wait for processes more than they work: two a core. The real clients are heavier.
WORKERS ?= 4
# Few at a time: nothing waits long behind a long test. `loadgroup`, which the e2e tests need for their groups,
# goes through all that a worker has done after each test.
SPREAD := --dist load --maxschedchunk 4
CLIENT_WORKERS ?= 2
# Compiled files are kept, whatever the shell says: every worker of every run would compile all tests anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint e2e soak bench bench-full bench-micro golden docs ci vendor screenshots cover matrix lock clean profile

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "dragoman needs Python 3.11 or newer; none was found (set PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python requirements/runtime.txt requirements/build.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --require-hashes -r requirements/build.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## install everything a developer needs into .venv

run: $(VENV)/.runtime ## set up and serve on 127.0.0.1:8787 (a simulated upstream when no account is configured)
	@$(BIN)/dragoman serve

test: $(VENV)/.dev ## every test that needs only Python (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest -n $(WORKERS) $(SPREAD) tests --ignore=tests/e2e

lint: $(VENV)/.dev ## ruff, mypy, import contracts, caps and budgets, generated docs, types of the console
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/budgets.py
	$(BIN)/python scripts/reference.py --check
	sh scripts/console.sh

e2e: $(VENV)/.dev ## the real CLIs against gateway and simulator, the console in a real browser (under 15 minutes)
	sh scripts/clients.sh
	sh scripts/browser.sh
	$(BIN)/python -m pytest -n $(CLIENT_WORKERS) --dist loadgroup -p no:randomly tests/e2e

soak: $(VENV)/.dev ## the long rounds of load, faults and memory, one of them with the real Claude Code
	sh scripts/clients.sh
	$(BIN)/python -m pytest -m soak --timeout 7200 -n 0 tests --soak

bench: $(VENV)/.dev ## measure against a bare relay (and nginx, where installed); prints a table of ratios
	@$(BIN)/python -m bench.run --quick

bench-full: $(VENV)/.dev ## the same with all scenarios; PEERS=litellm adds that gateway
	@$(BIN)/python -m bench.run --peers "$(PEERS)"

bench-micro: $(VENV)/.dev ## time the pure functions alone
	@$(BIN)/python -m bench.micro

profile: $(VENV)/.dev ## where the processor time goes; SCENARIO="plain_200k_c8 …" chooses, CALLS=1 counts calls
	@$(BIN)/python -m bench.hotspots $(SCENARIO) $(if $(CALLS),--calls)

golden: $(VENV)/.dev ## rewrite the expectations of tests/golden (read the diff before you commit it)
	$(BIN)/python -m pytest -q -n 0 -p no:randomly tests/unit -k golden --rewrite-golden

docs: $(VENV)/.dev ## rewrite the generated reference pages
	$(BIN)/python scripts/reference.py

screenshots: $(VENV)/.dev ## take the pictures of docs/console.md anew, in Chromium
	sh scripts/browser.sh
	$(BIN)/python -m scripts.screenshots

vendor: $(VENV)/.dev ## copy the console's libraries anew from the packages that scripts/console/ pins
	sh scripts/console.sh vendor

cover: $(VENV)/.dev ## branch coverage of the pure core from its own unit tests; fails below 100 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 0 -p no:randomly tests/unit/wire tests/unit/translate tests/unit/cache tests/unit/budget tests/unit/routing
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include='*/dragoman/wire/*,*/dragoman/translate/*,*/dragoman/cache/*,*/dragoman/budget/*,*/dragoman/routing/*' --skip-covered --show-missing --fail-under=100

matrix: $(VENV)/.dev ## the unit tests on every other CPython >= 3.11 that is found
	sh scripts/matrix.sh

ci: ## what CI runs: lint, test, coverage of the core, the other Pythons, e2e
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) cover
	$(MAKE) matrix
	$(MAKE) e2e

lock: ## resolve the dependencies anew (needs uv) and pin them with hashes
	uv pip compile -q -U --universal --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock" pyproject.toml -o requirements/runtime.txt
	uv pip compile -q -U --universal --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock" requirements/build.in -o requirements/build.txt
	uv pip compile -q -U --universal --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock" pyproject.toml --group dev -c requirements/runtime.txt -c requirements/build.txt -o requirements/dev.txt
	uv pip compile -q -U --universal --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock" requirements/e2e.in -o requirements/e2e.txt

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* .e2e .console .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist build

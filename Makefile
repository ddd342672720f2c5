# `make up` and `make test` need Python 3.11 or newer with venv, and nothing else.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

python := $(VENV)/bin/python
installed := $(VENV)/.installed

.PHONY: help install up demo test soak chaos bench screenshots gate formatted linted typed layered migrated deployable lint audit format clean
.DEFAULT_GOAL := help

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(installed) ## Make .venv with everything in it

$(installed): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; $(PYTHON) is not. Try: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	    { echo "$(PYTHON) lacks the venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV), once …"
	@test -x $(python) || $(PYTHON) -m venv $(VENV)
	@$(python) -m pip install -qq --disable-pip-version-check --requirement requirements.txt
	@touch $@

up: $(installed) ## Start everything on this machine; Ctrl-C stops it
	@$(python) manage.py up $(ARGS)

demo: $(installed) ## Send sample traffic to what `make up` started and watch it arrive in order
	@$(python) manage.py demo $(ARGS)

test: $(installed) ## The whole test suite (ARGS="-k name" for a part)
	@$(python) -m pytest $(ARGS)

soak: $(installed) ## A hundred thousand random steps in simulated time, some 40 minutes
	@SIMULATION_STEPS=$${SIMULATION_STEPS:-100000} $(python) -m pytest tests/simulation $(ARGS)

chaos: $(installed) ## Real processes under harm, judged by an observer (SEED=4 ENGAGEMENTS=50000 BROKER=valkey …)
	@$(python) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(ENGAGEMENTS),--engagements $(ENGAGEMENTS)) \
	    $(if $(USERS),--users $(USERS)) $(if $(BROKER),--broker $(BROKER)) $(if $(FAULTS),--faults $(FAULTS)) $(ARGS)

bench: $(installed) ## Speed beside other queues, with a table and a plot (ARGS="--only dense --rounds 3 --quick")
	@$(python) -m benchmarks $(ARGS)

screenshots: $(installed) ## Take the pictures in docs/images (needs Chromium: apt install chromium)
	@$(python) -m docs.screenshots $(ARGS)

gate: formatted linted typed layered migrated deployable ## What must hold beside the tests (-k shows all that does not)

formatted: $(installed)
	$(python) -m ruff format --check --quiet .

linted: $(installed)
	$(python) -m ruff check .

typed: $(installed)
	$(python) -m mypy

layered: $(installed)
	$(VENV)/bin/lint-imports

migrated: $(installed)
	$(python) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

deployable: $(installed)
	HTTPS=1 ALLOWED_HOSTS=delivery.example DATABASE_URL=postgresql://gate@localhost/gate \
	    BROKER_URL=amqp://localhost SECRET_KEY="$$($(python) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	    $(python) manage.py check --deploy --fail-level WARNING

lint: gate

# In an environment of its own, for its packages are none of ours. --strict: what could not be looked up is a failure, too.
audit: ## Known vulnerabilities in what requirements.txt pins, asked of a service on the Internet
	@test -x $(VENV).audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV).audit && \
	    $(VENV).audit/bin/python -m pip install -qq --disable-pip-version-check pip-audit==2.10.1; }
	$(VENV).audit/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.txt

format: $(installed) ## Rewrite the code as the gate wants it
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

clean: ## Remove .venv and caches; data in DATA_DIR stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The commands of the project; README.md and docs/operations.md describe them. Each builds .venv first when needed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The newest Python on the PATH that the pinned packages are made for; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.made-from-requirements
ARGS ?=

# What only the system's packages have, as "program:package:what it is for".
SYSTEM_PARTS := mariadbd:mariadb-server:MariaDB chromium:chromium:Chromium \
	/usr/lib/postgresql/15/bin/postgres:postgresql-15:PostgreSQL-15
MISSING_PARTS = $(shell for part in $(SYSTEM_PARTS); do program=$${part%%:*}; \
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v "$$program" >/dev/null 2>&1 || echo "$$part"; done)

.PHONY: help setup system system-if-missing test check demo up bench screenshots clean

help:
	@echo 'make demo    the whole flow on a demo shop, and the UI (ARGS=--once ends after the summary)'
	@echo 'make up      the product: web, worker and beat under one terminal (ARGS="--port 8001")'
	@echo 'make test    the whole suite on servers of its own (ARGS="tests/groups -x"; FULL=1 for the long tests)'
	@echo 'make check   format, lint, types, import contract, migrations'
	@echo 'make bench   every benchmark, small'
	@echo 'make screenshots  a picture of every screen into docs/screenshots, from the demo shop'
	@echo 'make setup   .venv with everything the others need'
	@echo 'make system  as root: the packages that only apt has (MariaDB, Chromium, PostgreSQL 15)'

setup: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt
	@if [ -z "$(PYTHON)" ]; then echo 'Python 3.11 or later with the module venv is missing: install it' \
		'(Debian: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3'; exit 1; fi
	@echo 'Building $(VENV) with $(PYTHON); this takes a minute or two.'
	@[ -x $(RUN) ] || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-input -r requirements-dev.txt
	@touch $@

system:
	@if [ "$$(id -u)" != 0 ]; then echo 'make system installs packages: run it as root (sudo make system).'; exit 1; fi
	@if ! command -v apt-get >/dev/null; then echo 'make system knows apt alone. Install with your own tool:' \
		'MariaDB server, Chromium, PostgreSQL 15.'; exit 1; fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		mariadb-server chromium postgresql-15 >/dev/null
	@# The suite starts servers of its own; those that the packages start are not needed.
	@for service in mariadb postgresql; do service $$service stop >/dev/null 2>&1 || true; done

system-if-missing:
ifneq ($(strip $(MISSING_PARTS)),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --no-print-directory system; \
	else $(foreach part,$(MISSING_PARTS),echo '$(lastword $(subst :, ,$(part))) is missing, its tests are skipped.' \
		'To install it: sudo make system';) \
		if [ "$${CI:-}" = true ]; then echo 'With CI=true nothing may be missing.'; exit 1; fi; fi
endif

# The whole suite, two at a time: last those that start many processes. ARGS runs what it names, in order.
test: $(STAMP) system-if-missing
ifeq ($(strip $(ARGS)),)
	$(RUN) -m pytest -n 2 --dist worksteal -m "not alone"
	$(RUN) -m pytest -n 2 --dist worksteal -m alone
else
	$(RUN) -m pytest $(ARGS)
endif

check: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	$(RUN) manage.py makemigrations --check --dry-run
	$(RUN) manage.py check

# The demo's Apps are databases beside the product's own, which may well be inside a private network.
demo: $(STAMP)
	@GROUPAROO_ALLOW_PRIVATE_HOSTS="$${GROUPAROO_ALLOW_PRIVATE_HOSTS:-true}" exec $(RUN) manage.py demo $(ARGS)

up: $(STAMP)
	@exec $(RUN) manage.py up $(ARGS)

bench: $(STAMP)
	$(RUN) manage.py bench $(ARGS)

# On an installation of its own, made anew: the command invents a month of history. Its folder's name is in a picture.
screenshots: $(STAMP)
	rm -rf /tmp/grouparoo-screenshots
	@GROUPAROO_VAR=/tmp/grouparoo-screenshots $(RUN) manage.py screenshots $(ARGS)
	rm -rf /tmp/grouparoo-screenshots

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis staticfiles
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

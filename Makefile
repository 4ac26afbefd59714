# Every chore is one command. `make demo` and `make test` need nothing but Python >= 3.11.
SHELL  := /bin/bash
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOCKS  := deploy/install
TOOLS  := build/tools

.DEFAULT_GOAL := help
.PHONY: help install lock sbom audit demo test test-quick lint docs pictures bench bench-reports chaos check clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

install: $(STAMP)  ## Make .venv with everything (again only when the pins change)

$(STAMP): pyproject.toml $(LOCKS)/requirements-build.txt $(LOCKS)/requirements-dev.txt
	@python=$$(deploy/install/find-python $(PYTHON)) || exit 1; \
	echo "Installing into $(VENV) with $$($$python --version) (takes a minute, once) ..."; \
	$$python -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r $(LOCKS)/requirements-build.txt -r $(LOCKS)/requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/.installed: $(LOCKS)/requirements-tools.txt
	@python=$$(deploy/install/find-python $(PYTHON)) || exit 1; $$python -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

lock: $(TOOLS)/.installed  ## Write deploy/install/requirements*.txt from pyproject.toml (ARGS=--upgrade: newest versions)
	@deploy/install/lock $(TOOLS)/bin/uv $(ARGS)

build/image/.installed: $(TOOLS)/.installed $(LOCKS)/requirements.txt
	@rm -rf build/image && $(TOOLS)/bin/python -m venv --without-pip build/image
	@$(TOOLS)/bin/python -m pip --python build/image/bin/python install --quiet \
		--disable-pip-version-check --require-hashes -r $(LOCKS)/requirements.txt
	@touch $@

sbom: build/image/.installed  ## Write build/sbom.json: what the image installs, as CycloneDX
	@$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--spec-version 1.6 --output-reproducible -o build/sbom.json build/image/bin/python
	@echo "build/sbom.json"

audit: $(TOOLS)/.installed  ## Compare what is installed with databases of advisories
	@$(TOOLS)/bin/python deploy/install/audit.py $(addprefix $(LOCKS)/,requirements.txt requirements-dev.txt)

demo: $(STAMP)  ## Run 50,000 simulated events through everything, check the ledger, serve the reports (ARGS=--no-serve: do not)
	@$(BIN)/receipts demo $(ARGS)

test: $(STAMP)  ## Run the tests, also on real Kafka where Java and Maven are found (ARGS=tests/models: some)
	$(BIN)/python -m tests.lanes $(ARGS)

# Rules alone: no process, no world of reports.
RULES := tests/models tests/properties tests/simulator tests/sinks/test_rows.py \
	$(addprefix tests/streams/,common followers lifecycle suppression)
test-quick: $(STAMP)  ## Run the tests of rules alone, in about three minutes
	$(BIN)/python -m pytest -q -m "not slow and not kafka" $(RULES) $(ARGS)

lint: $(STAMP)  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## Write the pages of docs/ and the dashboards that are made from code
	$(BIN)/python -m deploy.docs

pictures: $(STAMP)  ## Draw the dashboards of a real run into docs/images, in four minutes, on real Kafka
	$(BIN)/python -m tests.pictures

bench: $(STAMP)  ## Measure, on real Kafka; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench

MESSAGES ?= 3000000
PER_DAY  ?= 167000
bench-reports: $(STAMP)  ## Measure the reports over 3,000,000 messages (MESSAGES=70000000 PER_DAY=10000000 for more)
	$(BIN)/python -m tests.bench.reporting --messages $(MESSAGES) --per-day $(PER_DAY)

chaos: $(STAMP)  ## Break everything on purpose, on real Kafka, for ten minutes (ARGS=--help: more)
	$(BIN)/python -m tests.chaos $(ARGS)

check: lint test  ## What CI runs

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info

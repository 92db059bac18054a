# Two commands on a fresh machine: `make demo` and `make test`. Needs Python 3.11+ with venv.

PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_HOME := $(CURDIR)
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.venv/cache/hypothesis

.PHONY: install demo test lint up soak constraints clean

install: .venv/installed

demo: install
	$(BIN)/ingest demo

up: install
	$(BIN)/ingest up

test: .venv/installed-for-tests lint
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadgroup

soak: .venv/installed-for-tests
	$(BIN)/python -m pytest -m soak

lint: .venv/installed-for-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Every version anew, the newest that fit together: then `make test`, and look at what changed.
constraints: .venv/installed
	$(PYTHON) -m venv --clear .venv/newest
	.venv/newest/bin/python -m pip install --quiet ".[chinese,heic,legacy-office,ocr,postgres,unstructured,test]"
	.venv/newest/bin/python -m pip freeze --exclude ingestion-pipeline > .venv/newest/frozen.txt
	$(BIN)/python -m ingestion_pipeline_tests.constraints .venv/newest/frozen.txt constraints.txt

clean:
	rm -rf .venv data/state

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[chinese,heic,legacy-office,ocr,postgres,unstructured]"
	touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[chinese,heic,legacy-office,ocr,postgres,unstructured,test]"
	touch $@

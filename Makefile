# Everything starts from Python >= 3.11, git and make. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
TOOLS_STAMP = $(VENV)/.installed-tools

.PHONY: demo test test-tools soak bench lint clean

demo: $(STAMP)                 ## run the whole survey on the embedded synthetic sky
	$(BIN)/python flows/run_survey.py

test: $(STAMP)                 ## the default suite: offline, loopback only
	$(BIN)/python -m pytest

test-tools: $(TOOLS_STAMP)     ## the real tools: SeaweedFS, Chromium, a Prefect server and worker, the notebook
	$(BIN)/python -m pytest -m tools

soak: $(STAMP)                 ## full counts of faults, kills, mutations, double runs: one table; by hand, takes an hour
	$(BIN)/python tests/soak/table.py

bench: $(TOOLS_STAMP)           ## measurements, side by side in one run; no claim is made by a test
	for script in tests/bench/*.py; do $(BIN)/python $$script || exit 1; done

lint: $(STAMP)                 ## style, types and the floors of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("gzjwst needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(VENV)/bin/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

$(TOOLS_STAMP): $(STAMP)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,tools]'
	touch $(TOOLS_STAMP)

clean:                         ## remove the environment and caches; surveys in runs/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

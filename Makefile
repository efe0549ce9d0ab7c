# Everything starts from Python >= 3.11, git and make. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
TOOLS_STAMP = $(VENV)/.installed-tools
ML = .venv-ml
ML_STAMP = $(ML)/.installed
# every process of a run would compile what it imports: bytecode is kept, also where the environment says otherwise
export PYTHONDONTWRITEBYTECODE =
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt
ML_PIP = $(ML)/bin/python -m pip install --quiet --disable-pip-version-check --constraint tests/ml/constraints.txt

.PHONY: demo test test-tools test-ml soak bench lint clean

demo: $(STAMP)                 ## run the whole survey on the embedded synthetic sky
	$(BIN)/python flows/run_survey.py

test: $(STAMP)                 ## the default suite: offline, loopback only
	$(BIN)/python -m pytest

test-tools: $(TOOLS_STAMP)     ## the real tools: SeaweedFS, Chromium, a Prefect server and worker, the notebook
	$(BIN)/python -m pytest -m tools

test-ml: $(STAMP) $(ML_STAMP)  ## Zoobot's own loader reads images and FITS; an environment of its own with torch
	$(BIN)/python -m pytest -m ml -n 0 tests/ml

soak: $(STAMP)                 ## full counts of faults, kills, mutations, double runs: one table; by hand, takes an hour
	$(BIN)/python tests/soak/table.py

bench: $(TOOLS_STAMP)           ## measurements, side by side in one run; no claim is made by a test
	for script in tests/bench/*.py; do $(BIN)/python $$script || exit 1; done

lint: $(STAMP)                 ## style, types and the layers of the project
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("gzjwst needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(VENV)/bin/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	touch $(STAMP)

$(TOOLS_STAMP): $(STAMP)
	$(INSTALL) --editable '.[dev,tools]'
	touch $(TOOLS_STAMP)

# torch first, so that whatever build the index offers stays; of galaxy-datasets only what its loader imports
$(ML_STAMP): tests/ml/constraints.txt
	$(PYTHON) -m venv $(ML)
	$(ML_PIP) torch
	$(ML_PIP) astropy datasets lightning numpy omegaconf pandas pillow pyarrow requests scikit-learn
	$(ML_PIP) --no-deps torchvision galaxy-datasets
	touch $(ML_STAMP)

clean:                         ## remove the environment and caches; surveys in runs/ stay
	rm -rf $(VENV) $(ML) .pytest_cache .mypy_cache .ruff_cache .hypothesis

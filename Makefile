# Every target sets up what it needs: a machine with Python 3.11 or newer and make is enough.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/
STAMP := $(VENV)/.installed
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: demo test conformance check build clean

demo: $(STAMP)
	$(RUN)memedit demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN)python -m pytest -n 2

conformance: $(STAMP)  ## every call of the conformance table on every family of models
	MEMEDIT_CONFORMANCE=whole OMP_NUM_THREADS=1 $(RUN)python -m pytest -n 2 tests/conformance

check: $(STAMP)
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

build: $(STAMP)
	$(RUN)python -m pip install --quiet build
	$(RUN)python -m build --wheel

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch comes first and pinned: asked for by a dependency it would bring gigabytes for GPUs.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --constraint constraints.txt torch
	$(RUN)python -m pip install --quiet --constraint constraints.txt --editable '.[dev,offline,plots]'
	touch $(STAMP)

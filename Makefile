# make demo   fit silicon to published data, MD, plot, LAMMPS    make test   all tests
# make lint   style and types                                   make bench  kernel and calculator speed
# make gpu-check   on a machine with a GPU: its tests and benchmark, with PYTHON's NumPy, CuPy and pytest
# Everything else happens in .venv, made on first use. PYTHON chooses the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml $(shell find cython_src lammps_plugin -type f)
BENCH_ARGS ?=

.PHONY: demo test lint bench gpu-check clean

demo: $(VENV)/installed
	$(BIN)/python examples/si_fit_md.py --output demo_output
	$(BIN)/python examples/lammps/compare_with_ase.py demo_output/si.acepair

test: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

gpu-check:
	$(PYTHON) benchmarks/gpu_check.py

$(VENV)/installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build demo_output

# Everything here runs on a fresh machine that has Python 3.11+ and make: the first call makes .venv, later ones reuse it.
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
NEWEST := .venv-newest
PYTHON := python3.13 python3.12 python3.11 python3
ARGS ?=

# Python is compiled when it is first imported, not when it is installed, and kept for the hundred programs that tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test stress lint bench parity bench-live mutants broker lab clean
.DELETE_ON_ERROR:

help: ## List what there is
	@echo "make TARGET [ARGS='…']"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.installed ## One pipeline on pandas, on Dask and live, with a dashboard (ARGS="--seconds 20 --no-browser")
	@$(BIN)/fintech-toolkit demo $(ARGS)

# All of them side by side, more than there are cores, since many wait for a broker, a browser or a cluster; in their own order,
# since files with few tests are the long ones. What ARGS names is run by one process.
test: $(VENV)/.installed-test ## Tests and docstring examples, the long ones excepted: stress (ARGS="tests/kernels -k ewma": those, in one process)
	@$(BIN)/python -m pytest $(or $(ARGS),-n 3 --no-loadscope-reorder)

stress: $(VENV)/.installed-test ## What test does for some kernels, variants and rounds, for all others (ARGS="-n 2")
	@$(BIN)/python -m pytest -m stress $(ARGS)

lint: $(VENV)/.installed-test ## ruff (rules and format) and mypy --strict
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(VENV)/.installed-bench ## Measure against Polars, pandas, TA-Lib and others; writes the tables in README.md (ARGS="--short" or "--only NAME")
	@$(BIN)/python -m benchmarks $(ARGS)

parity: $(VENV)/.installed-bench ## Each kernel beside TA-Lib, pandas and others: digits and speed; writes benchmarks/PARITY.md (ARGS=--short)
	@$(BIN)/python -m benchmarks.parity $(ARGS)

bench-live: $(VENV)/.installed-test $(PEERS)/.installed ## Measure the live layer against quix-streams, bytewax and a plain loop, on a real broker (ARGS=--short)
	@$(BIN)/python -m benchmarks.bench_live $(ARGS)

mutants: $(VENV)/.installed-test ## Change the code for the worse in a copy and see whether tests notice (ARGS="--sample 100 --seed 1")
	@$(BIN)/python -m tests.mutants $(ARGS)

broker: $(VENV)/.installed-test ## A real Apache Kafka in the foreground, without Docker (Java 17+ and Maven; ARGS="--port 9092")
	@$(BIN)/python -m tests.kafka $(ARGS)

# Root, as in a container, has to be allowed: to this machine alone, and with the token that Jupyter asks for.
lab: $(VENV)/.installed-notebooks ## JupyterLab on notebooks/
	@$(BIN)/jupyter lab --ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) --notebook-dir=notebooks $(ARGS)

clean: ## Remove the environments and all that was built or cached here
	rm -rf $(VENV) $(PEERS) $(NEWEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis dask-worker-space
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(PYTHON); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$($$python --version)"; \
	        $$python -m venv $(VENV) && exit; \
	        rm -rf $(VENV); \
	        echo "$$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	        exit 1; \
	    fi; \
	done; \
	echo "Python 3.11 or newer is needed, and none was found on the PATH: see https://www.python.org/downloads" >&2; \
	exit 1

# A stamp for the package alone, and one for each of its extras.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing fintech-toolkit: once, about a minute"
	@$(INSTALL) .
	@touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing fintech-toolkit and what $* needs: once, about a minute"
	@$(INSTALL) '.[$*]'
	@touch $@ $(VENV)/.installed

# Peers bound the version of Kafka's client from above, so they have an environment of their own. One that has no wheel for this
# Python is left out, and the table says so.
$(PEERS)/.installed: benchmarks/peers.txt | $(BIN)/python
	@echo "Installing the peers of the live benchmark: once, about a minute"
	@$(BIN)/python -m venv $(PEERS)
	@xargs -n 1 $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: < $< || true
	@touch $@

# Every target that needs Python first makes the environment from the hashed lock file. `make help` lists them.
PYTHON ?= python3
FROM := HEAD
VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
.DEFAULT_GOAL := help
.PHONY: help setup repro tuned watch quick test lint evaluate plots experiments restore verify faults doctor bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv from requirements.lock and the offline page for dvc plots

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11")'
	@echo "Setting up $(VENV) from requirements.lock; the first time this takes a few minutes"
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	$(VENV)/bin/python -m tools.plots_page
	@touch $@

repro: $(READY) ## run what changed of the report's part of the pipeline (VERBOSE=1 prints every epoch)
	$(if $(VERBOSE),MNIST_VERBOSE=1) dvc repro --single-item $$(dvc stage list --name-only | grep -v tuned)

tuned: $(READY) ## run what changed of the whole pipeline, with the tuned protocol
	$(if $(VERBOSE),MNIST_VERBOSE=1) dvc repro

watch: $(READY) ## follow in a second terminal how far the running stage has come
	python -m tools.watch

quick: $(READY) ## run the same pipeline on a slice, in minutes, in a copy: the workspace stays as it is
	python -m tools.quick

test: $(READY) ## run the tests, with a real pipeline run on a slice of MNIST
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## check style and types
	ruff check .
	ruff format --check .
	mypy

evaluate: $(READY) ## load the trained or else the published models and print their errors (MODEL=1d for one)
	dvc repro prepare > /dev/null
	python -m stages.evaluate --print-only $(if $(MODEL),--model $(MODEL))

plots: $(READY) ## write dvc_plots/index.html, which draws without internet
	dvc plots show

experiments: $(READY) ## test errors and parameters that differ between the experiments, in a table
	dvc exp show --only-changed --drop '(?!Experiment|..(_tuned)?\.test_error$$|architectures|profile|data\.|fast)'

# First a command that stops where a stage runs: `dvc checkout` does not. What else it says, as of params.yaml, is no matter.
# Nor are the last one's warnings, a line for every output that the restored dvc.lock lacks.
restore: $(READY) ## back to the committed results, whatever was run or changed; FROM=<commit>: to those of another
	@! dvc status 2>&1 > /dev/null | grep -A 1 -e 'acquire lock' -e 'blocked by' >&2
	git restore --source=$(FROM) --staged --worktree -- $$(git ls-tree --name-only $(FROM) params.yaml dvc.lock metrics plots data/published)
	git clean --quiet --force -d -- metrics plots data/published
	@said=$$(dvc checkout --force --allow-missing 2>&1 > /dev/null) || { echo "$$said" >&2; false; }

verify: $(READY) ## run the quick profile in a copy; say for each stage whether its bytes are the same again
	python -m tools.verify

faults: $(READY) ## try all faults and hostile files of tests/faults, for half an hour, and print a table of them
	python -m pytest tests/faults --all-faults --numprocesses 2 --dist worksteal

doctor: ## say in one line each what this machine has and lacks
	$(PYTHON) -m tools.doctor

bench: $(READY) ## time an epoch of ours beside Keras, PyTorch and scikit-learn; about ten minutes on an idle machine
	python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-bench.lock
	python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps 'torch==2.13.0+cpu' typing_extensions sympy mpmath networkx filelock fsspec || echo "pip finds no PyTorch for processors alone, which is on an index of its own (PIP_EXTRA_INDEX_URL); it is left out"
	dvc repro prepare > /dev/null || { echo "python -m benchmarks takes the images in data/prepared, or random ones where there are none"; false; }
	python -m benchmarks

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	python -m pip install --quiet uv
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade \
	  --python-version 3.11 --group dev --no-header --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade \
	  --python-version 3.11 --group bench --constraint requirements.lock --output-file requirements-bench.lock --no-header

clean: ## remove the environment, caches of tools, drawn plots and what interrupted stages kept; keep data and results
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dvc_plots .dvc/tmp/mnist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

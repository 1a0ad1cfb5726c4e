# `make` alone lists what there is. Python 3.11 to 3.14 and make are all it takes to begin.
PYTHON ?= python3
PORT   ?= 8000
SERVE  ?= 1

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -qq --constraint constraints.txt

DEMO_INSTALLED := $(VENV)/.demo-installed
DEV_INSTALLED  := $(VENV)/.dev-installed
AUDIT_INSTALLED := $(VENV)/.audit-installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint audit audit-code audit-dependencies format bench constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Settings: PYTHON=$(PYTHON) PORT=$(PORT) SERVE=$(SERVE) (SERVE=0: the demo ends after its report)"

demo: $(DEMO_INSTALLED) ## train the demo, print its report, serve the web page
	$(BIN)/shortlist train examples/demo.toml --out artifacts/demo
ifneq ($(SERVE),0)
	$(BIN)/shortlist tradeoff artifacts/demo --step diversity --keep # for the page Shape
	$(BIN)/shortlist serve artifacts/demo --port $(PORT)
endif

test: $(DEV_INSTALLED) ## run every test and every documented example
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(DEV_INSTALLED) ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: audit-code audit-dependencies ## look for weaknesses in the code and in what it stands on

# What is left out, and why: [tool.bandit] in pyproject.toml, and above each `nosec`.
audit-code: $(AUDIT_INSTALLED)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src

audit-dependencies: $(AUDIT_INSTALLED)
	.ci/audit $(BIN)/python

format: $(DEV_INSTALLED) ## put the code into its standard form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(DEV_INSTALLED) ## run the benchmarks
	$(BIN)/python -m benchmarks

$(BIN)/python:
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 15) else "Shortlist needs Python 3.11 to 3.14, and $(PYTHON) is %d.%d: try make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV)

# torch goes first and alone: the build that is chosen for it is then the one everything else finds.
$(DEMO_INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing torch (a few minutes the first time)"
	@$(INSTALL) torch
	@echo "installing shortlist for training and serving (a few minutes the first time)"
	@$(INSTALL) --editable '.[train,serve]'
	@touch $@

$(DEV_INSTALLED): $(DEMO_INSTALLED)
	@echo "installing what the tests and checks need"
	@$(INSTALL) --editable '.[train,serve,postgres,tune,ann,trees,otel,bench,dev]'
	@touch $@

$(AUDIT_INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing bandit and pip-audit"
	@$(INSTALL) --editable '.[audit]'
	@touch $@

# torch is pinned by hand, with no local version: the same line takes the CPU build or the CUDA build, whichever
# the machine offers. The CUDA libraries belong to torch, which names the exact ones it needs.
TORCH := 2.13.0
constraints: | $(BIN)/python ## compile constraints.txt anew, to the newest versions
	@echo "installing uv"
	@$(PIP) install -qq uv
	@echo "resolving for Python 3.11 to 3.14 on every platform at once"
	@printf 'torch==%s\n' '$(TORCH)' > $(VENV)/torch.txt
	@$(BIN)/uv pip compile --quiet --universal --all-extras --no-emit-package torch --no-emit-package shortlist \
	    --no-annotate --no-header --no-config --constraint $(VENV)/torch.txt \
	    --output-file $(VENV)/compiled.txt --upgrade --python-version 3.11 pyproject.toml
	@{ \
	  echo '# The exact versions that `make` installs and the tests run with: Python 3.11 to 3.14, Linux (x86-64, ARM) and macOS (ARM).'; \
	  echo '# Compiled from pyproject.toml: change the ranges there, then run `make constraints`.'; \
	  grep -vE '^(nvidia-|cuda-|triton)' $(VENV)/compiled.txt; \
	  echo 'torch==$(TORCH)'; \
	} > $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt
	@echo "wrote constraints.txt"

clean: ## remove everything that was made here: .venv, artifacts, caches
	rm -rf $(VENV) artifacts build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

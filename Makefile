# Two commands for everybody: `make demo` and `make test`. `make check` is for who changes code.
# Needs Python 3.11 or newer, and git. Everything goes into .venv; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format bench screenshots clean

demo: $(VENV)/.demo
	@$(BIN)/skitaid demo

test: $(VENV)/.test
	$(BIN)/pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 0 tests/test_floors.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/hello.py

# One stamp for each set of extras, older than pyproject.toml when something must be installed.
# What tests need is among what developers need.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "installing skitai[$*] into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@ $(if $(filter dev,$*),$(VENV)/.test)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Skitai needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian: apt install python3-venv"; exit 1; }

screenshots: $(VENV)/.test
	PYTHONPATH=tests:tests/admin $(BIN)/python tests/admin/screenshots.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

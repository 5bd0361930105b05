# make demo   the whole loop on real data        make test    every test
# make check  lint, types, layers                make bench   the benchmarks
# make crash  every crash point in every mode
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check bench crash lock clean wheel

demo: $(READY)
	@$(BIN)/headrace demo $(ARGS)

test: $(READY)
	@$(BIN)/python -m headrace.embedded.java
	-@$(BIN)/python -m headrace.quick_start
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python bench/run.py $(ARGS)

crash: $(READY)
	PYTHONPATH=tests/stream $(BIN)/python tests/crash/run.py $(ARGS)

wheel: $(READY)
	$(BIN)/uv build --wheel --out-dir dist

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean:
	-@$(BIN)/headrace down 2>/dev/null
	rm -rf .venv .venv-airflow .headrace dist spark-warehouse

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing: apt install python3 python3-venv, or brew install python@3.11"; exit 4; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headrace needs Python 3.11 or newer, this is $$($(PYTHON) --version): make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 4; }
	@echo "Setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt install python3-venv"; exit 4; }
	@$(BIN)/python -m pip install -q -r requirements.lock
	@$(BIN)/python -m pip install -q --no-deps -e .
	@touch $(READY)

# The two commands that matter: `make lab` opens the lessons, `make test` proves that all is well.
# Everything is installed into .venv, from the locked list; nothing outside this folder is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LAB_READY := $(VENV)/.lab-ready
LESSONS ?= my-lessons

# Each command starts dozens of Pythons: what one has compiled, the next ones only load.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help lab serve test quick check unit live coverage witness replay solved notebooks docs browser bench lock clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# What a command needs is installed at its first use, from a locked list with checksums: what a learner
# needs for `make lab` and `make serve`, and everything else for the other commands.
NEEDS_PYTHON = $(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "kubesim needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

$(LAB_READY): requirements-lab.lock pyproject.toml
	@$(NEEDS_PYTHON)
	@echo "Setting up .venv for the lessons: JupyterLab, ipywidgets, Bokeh. This takes about a minute and 400 MB, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements-lab.lock
	@$(PIP) install --no-deps -e .
	@touch $(LAB_READY)

# uv installs the same list with the same checksums in a fraction of pip's time. It is in the list, too;
# where it cannot be had, or cannot reach the index that pip is configured for, pip does all of it.
$(READY): requirements.lock pyproject.toml
	@$(NEEDS_PYTHON)
	@echo "Setting up .venv with everything that the tests need. This takes about half a minute, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^[^ ]/ {mine = /^uv==/} mine' requirements.lock > $(VENV)/uv.lock
	@{ $(PIP) install --require-hashes -r $(VENV)/uv.lock && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; } || \
	  { echo "uv did not install the packages; pip does, in about two minutes."; \
	    $(PIP) install --require-hashes -r requirements.lock; }
	@$(PIP) install --no-deps -e .
	@touch $(READY) $(LAB_READY)

lab: $(LAB_READY)  ## open the lessons in JupyterLab, in a folder of your own (LESSONS=my-lessons)
	@echo "Opening the lessons in $(LESSONS)/: yours to change; an update never overwrites your work."
	@$(BIN)/python -m lessons start "$(LESSONS)"

serve: $(LAB_READY)  ## run the simulator's API server on http://127.0.0.1:8080
	$(BIN)/python -m kubesim serve

# Two parts at a time, each with its output in one piece: those of the browser mostly wait.
SIDE_BY_SIDE = -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(READY)  ## everything that CI runs
	$(MAKE) DOCS_WHOLE=false $(SIDE_BY_SIDE) browser check witness docs replay unit live solved

quick: $(READY)  ## what to run at every save: no threads, nothing slow (under a minute on two cores)
	$(BIN)/python -m pytest -q -n auto --hypothesis-profile=quick -m "not live and not slow and not notebook and not witness and not browser"

check: $(READY)  ## types and lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check kubesim lessons tests benchmarks tools
	$(BIN)/mypy

VIRTUAL = not live and not notebook and not witness and not browser

unit: $(READY)  ## unit, property, contract, scenario and house-rule tests, on virtual time
	$(BIN)/python -m pytest -q -n auto $(COVERAGE) -m "$(VIRTUAL)"

# Each worker imports every file that it is given: only those with such a test (tests/conftest.py
# sees to it that they are all of them).
LIVE_FILES = $(shell grep -rl --include='test_*.py' 'mark\.live' tests)

live: $(READY)  ## tests with real threads, servers and clients
	@# They wait more than they compute. No test assumes that it has a core to itself.
	$(BIN)/python -m pytest -q -n 4 -m "live and not notebook and not witness and not browser" $(LIVE_FILES)

coverage: $(READY)  ## how much of the code the tests on virtual time run, with a floor
	$(BIN)/python -m pytest -q -n auto --cov --cov-report=term -m "$(VIRTUAL)"

witness: $(READY)  ## real threads switched at opcodes: the store is correct, and a mistake would be found
	$(BIN)/python -m pytest -q -m witness tests/store

notebooks: replay solved  ## replay the lessons, compare the graded outputs, run them solved and unsolved

replay: $(READY)
	@# The notebooks hold no outputs, so that no prediction is given away: the copies do.
	$(BIN)/python -m lessons.refresh --executed test-results/notebooks
	$(BIN)/python -m pytest -q -p nbval --nbval --nbval-current-env --nbval-cell-timeout=120 --nbval-kernel-startup-timeout=120 test-results/notebooks

solved: $(READY)
	$(BIN)/python -m pytest -q -n auto -m notebook tests/notebooks

docs: $(READY)  ## build the documentation site into site/, in strict mode
	@# Not --quiet: strict mode counts the warnings that are printed.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

browser: $(READY)  ## a real JupyterLab in headless Chromium (skipped with a reason where there is none)
	@# A browser on a busy machine may time out: what failed is tried once more, alone. A test opens
	@# several pages, each with time limits of its own, so it may take long before it counts as hanging.
	$(BIN)/python -m pytest -q -n 2 -o faulthandler_timeout=900 --dist loadscope -m browser tests/browser || \
	  $(BIN)/python -m pytest -q -o faulthandler_timeout=900 -m browser --last-failed --last-failed-no-failures none tests/browser

bench: $(READY)  ## benchmarks against named peers, printed as ratios
	$(BIN)/python benchmarks/run.py

UV_COMPILE = $(BIN)/uv pip compile --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet

lock: $(READY)  ## refresh requirements.lock and requirements-lab.lock
	$(UV_COMPILE) --extra lab --extra k8s --extra test --extra docs --extra bench pyproject.toml -o requirements.lock
	$(UV_COMPILE) --extra lab --extra k8s -c requirements.lock pyproject.toml -o requirements-lab.lock

clean:  ## remove what the other commands made
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results

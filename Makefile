# `make demo` and `make test` are all that a new user needs; both make the virtual environment if it is missing.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-all lint docs format notebooks exports benchmarks clean

$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --requirement requirements.txt
	$(RUN) -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(RUN) -m pip install --quiet --requirement requirements-dev.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev requirements-docs.txt
	$(RUN) -m pip install --quiet --requirement requirements-docs.txt
	touch $@

demo: $(VENV)/.installed
	$(RUN) examples/demo.py

# The numeric core of everything, in a few minutes.
test: $(VENV)/.installed-dev
	$(RUN) -m pytest --numprocesses 2 --dist worksteal -m "not slow and not matrix"

# And the matrix of methods, trainings, browsers and servers.
test-all: $(VENV)/.installed-dev
	$(RUN) -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

# The site, into site/; a broken link or anchor is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

format: $(VENV)/.installed-dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

benchmarks: $(VENV)/.installed requirements-benchmarks.txt
	$(RUN) -m pip install --quiet --requirement requirements-benchmarks.txt
	$(RUN) benchmarks/throughput.py
	$(RUN) benchmarks/overhead.py
	$(RUN) benchmarks/information.py
	$(RUN) benchmarks/likelihood.py

# Runs the notebooks of examples/ and stores what they show.
notebooks: $(VENV)/.installed-dev
	$(RUN) examples/make_notebooks.py

exports: $(VENV)/.installed
	$(RUN) exports/make.py

clean:
	rm -rf build dist demo site *.egg-info .pytest_cache .mypy_cache .ruff_cache

# What developers run. The environment is made by the second command of README.md; PYTHON=... takes another.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))

.PHONY: check lint types docs test test-fast test-spawn test-real newest lock

check: lint types docs test-fast  ## everything that must hold before a commit, in a few minutes

lint:  ## format, rules, and docstrings that say what the signature does not
	$(BIN)ruff format --check .
	$(BIN)ruff check .

types:  ## types of the package
	$(BIN)mypy

docs:  ## build docs/ into build/docs; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict --config-file .mkdocs.yml

test:  ## all tests that need no real data
	$(PYTHON) -m pytest

test-fast:  ## without the tests that train in several processes or stop and resume
	$(PYTHON) -m pytest -m 'not slow and not real and not fuzz_long'

test-spawn:  ## loading processes that are spawned, as on macOS, Windows and Python 3.14
	START_METHOD=spawn $(PYTHON) -m pytest -n 2 tests/training/test_dataset.py tests/training/test_image_mixing.py \
	  tests/training/test_fitted_images.py tests/faults/test_f56_loading_processes.py

test-real:  ## trainings on real data beside the checkout
	$(PYTHON) -m pytest -m real -n 0

newest:  ## the newest release of everything, in an environment of its own
	tools/ci/newest.sh

lock:  ## write requirements/lock.txt again; UPGRADE=1 takes the newest of everything
	tools/ci/lock.sh $(if $(UPGRADE),--upgrade)

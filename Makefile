# Everything happens in .venv, which the first command makes.
PYTHON ?= python3
PYTEST_ARGS ?= -n auto
COVERAGE ?= --cov --cov-fail-under=100
# Versions of libraries, `name==version`.
PINS ?=
BIN := .venv/bin

.PHONY: demo test soak real-servers lint types docs package distributions compat versions \
  bench bench-cluster world clean

demo: .venv/demo
	@$(BIN)/python demo/demo.py

test: .venv/test
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(COVERAGE)

# 100,000 requests while the token file is renewed in every way; minutes.
soak: .venv/test
	SOAK_REQUESTS=100000 $(BIN)/python -m pytest -s tests/test_renewal.py

# A missing server is a failure here, where `make test` skips.
real-servers: .venv/test
	REQUIRE_REAL_SERVERS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) \
	  tests/test_xrootd.py tests/test_clients.py tests/test_cluster.py

# Each way in on real servers of all kinds, as root on Debian: the table of docs/reference/
# tested-with.md. 30 minutes; ARGS='xrootd nginx' for some, remove .world for newer ones.
world: .venv/test .venv/world
	$(BIN)/python -m world $(ARGS)

lint: .venv/lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check

# Two type checkers; the second also measures how much of the interface has types.
types: .venv/test .venv/types
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/basedpyright
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/basedpyright --ignoreexternal \
	  --verifytypes requests_scitokens

docs: .venv/docs
	rm -rf docs/_build
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

# Wheel and sdist in dist/: reproducible, checked.
package: .venv/package
	PYTHON=$(BIN)/python packaging/check

# Debian, RPM and conda packages, pipx and uv: each built, installed and tried; as root on
# Debian, with what packaging/apt-packages lists.
distributions: package
	packaging/test-tools
	packaging/test-deb
	packaging/test-deb trixie
	packaging/test-rpm
	packaging/test-conda

# Other people's test suites, with and without the autopatch; ARGS=--quick for a few.
compat: .venv/demo
	$(BIN)/python compat/run.py $(ARGS)

# The tests on each Python with the oldest and the newest libraries; ARGS='-t ends' for two.
versions: .venv/versions
	PATH="$$(printf '%s:' ~/.pyenv/versions/*/bin)$$PATH" $(BIN)/nox $(ARGS)

# Throughput on a Dask cluster, beside a header written by hand; needs XRootD.
bench-cluster: .venv/test
	$(BIN)/python benchmarks/cluster.py $(ARGS)

# What a request and a start cost: benchmarks/results/; 9 minutes, 1 with ARGS=--quick.
bench: .venv/demo
	$(BIN)/python benchmarks/run.py $(ARGS)

clean:
	rm -rf .venv .world build dist docs/_build

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip >= 25.1'  # for --group
	touch $@

.venv/demo: .venv/pip pyproject.toml requests_scitokens.pth
	$(BIN)/python -m pip install --quiet --editable '.[testing]' $(PINS)
	touch $@

.venv/%: .venv/demo
	$(BIN)/python -m pip install --quiet --group $* $(PINS)
	touch $@

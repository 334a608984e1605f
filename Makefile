# Every target does its own set-up: an environment in .venv, with the package built and installed.
SHELL := bash
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SOURCES := pyproject.toml CMakeLists.txt $(shell find cmake native src -type f \
  \( -name '*.py' -o -name '*.pyi' -o -name '*.cpp' -o -name '*.h' -o -name '*.cmake' -o -name py.typed \))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export NO_MKDOCS_2_WARNING := 1
# Where people can read the sources, if this is a clone from a public host. Pages of the documentation link to it.
export CENTROIDS_REPOSITORY := $(shell git config remote.origin.url 2>/dev/null | \
  sed -nE 's,^(https://|ssh://|git@)([^@/]*@)?([^/:@]+\.[^/:@]+)[:/](.*[^/])/?$$,https://\3/\4,p' | sed 's,\.git$$,,')
export CENTROIDS_EDIT ?= $(if $(CENTROIDS_REPOSITORY),$(CENTROIDS_REPOSITORY)/edit/main/docs/)

.PHONY: help audit platforms wheels try-wheels release release-requirements demo demo-cluster test test-slow crash fuzz check format docs docs-version bench sanitize neon clean with-version

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## Cluster 400,000 word vectors and show the clusters
	$(BIN)/python examples/glove_demo.py

demo-cluster: $(VENV)/.cluster ## Cluster a Parquet folder on a local Dask cluster, and compare with one process
	$(BIN)/python examples/cluster_demo.py

test: $(VENV)/.test ## Run the default test suite (under five minutes)
	$(BIN)/python -m pytest tests -m "not slow" -n auto
	$(BIN)/python -m pytest --pyargs centroids -q

test-slow: $(VENV)/.test $(VENV)/.interop ## Run the slow tests, with TensorFlow, ONNX and faiss as readers
	$(BIN)/python -m pytest tests -m slow -n auto

crash: $(VENV)/.test ## Kill thousands of runs and predictions, let the power fail, interrupt each line, fail each allocation (an hour)
	$(BIN)/python -m tests.crash.power_loss --choices $(or $(CHOICES),500)
	$(BIN)/python -m tests.crash.kills --kills $(or $(KILLS),5000)
	$(BIN)/python -m tests.crash.predictions --kills $(or $(KILLS),5000)
	$(BIN)/python -m tests.crash.each_operation prediction
	$(BIN)/python -m tests.crash.interrupts --lines all --storms 1000
	$(BIN)/python -m tests.crash.each_allocation kernels
	$(BIN)/python -m tests.crash.each_allocation training

fuzz: $(VENV)/.test ## Look for new failures: the tests of random inputs with fresh seeds, ROUNDS times (half an hour each)
	for round in $$(seq $(or $(ROUNDS),1)); do \
	  $(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile=explore || exit 1; done

check: $(VENV)/.dev ## Lint, types, formatting, workflows, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files '*.cpp' '*.h' | xargs $(BIN)/clang-format --dry-run -Werror
	$(BIN)/jactionlint --no-hints
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/hadolint Dockerfile
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

format: $(VENV)/.dev ## Rewrite Python and C++ in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.cpp' '*.h' | xargs $(BIN)/clang-format -i

docs: $(VENV)/.dev ## Build the documentation into build/site
	$(BIN)/mkdocs build --strict --site-dir build/site

docs-version: with-version $(VENV)/.dev ## Put the documentation of VERSION on the branch gh-pages
	PATH="$(CURDIR)/$(BIN):$$PATH" mike deploy --config-file mkdocs.versions.yml --update-aliases $(VERSION) latest
	PATH="$(CURDIR)/$(BIN):$$PATH" mike set-default --config-file mkdocs.versions.yml latest

bench: $(VENV)/.bench ## Time everything against the peers and write docs/benchmarks.md (idle machine, hours)
	$(BIN)/python -m benchmarks $(BENCH)

sanitize: $(VENV)/.dev ## Run the native tests under AddressSanitizer, UBSan and ThreadSanitizer
	PATH="$(CURDIR)/$(BIN):$$PATH" bash native/tests/run_sanitizers.sh

neon: $(VENV)/.dev ## Run the native tests of the NEON kernels, cross-compiled and emulated
	PATH="$(CURDIR)/$(BIN):$$PATH" bash native/tests/run_neon.sh $(NEON)

audit: $(VENV)/.audit ## Look for known weaknesses in what builds a release and what the tests install
	$(BIN)/python release/audit.py

wheels: $(BIN)/python ## Build an sdist and wheels for Linux on x86-64 and Arm into dist/ (a quarter of an hour; what is the same is kept)
	$(BIN)/python release/wheels.py $(ARCHITECTURES)

try-wheels: $(BIN)/python ## Try the wheels in dist/ in empty environments; ARCHITECTURES="x86_64 aarch64" emulates, too
	$(BIN)/python release/try_wheels.py $(ARCHITECTURES)

release: with-version $(BIN)/python ## Check, build, try and tag a version: make release VERSION=1.2.3
	$(BIN)/python release/release.py --check $(VERSION)
	$(MAKE) --no-print-directory $(VENV)/.audit
	$(BIN)/python release/release.py $(VERSION)

release-requirements: $(BIN)/python ## Pin what builds a release anew, with hashes
	$(INSTALL) uv
	cd release && ../$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 \
	  --no-header requirements.in --output-file requirements.txt

platforms: $(BIN)/python ## Compile the native code for Linux, macOS and Windows, without warnings (ten minutes of two cores)
	$(INSTALL) --require-hashes -r release/requirements.txt
	PYTHON=$(BIN)/python bash native/tests/compile_platforms.sh

# Said before anything is set up.
with-version:
	@test -n "$(VERSION)" || { echo "say which version: make $(MAKECMDGOALS) VERSION=1.2.3" >&2; exit 1; }

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@found=; for python in $${PYTHON:-} python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "centroids needs Python 3.11 or later: install it, or run make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	$$found -m venv $(VENV) && $(INSTALL) --upgrade "pip>=25.1"

# The package is installed as users install it, not in place: what is tested is what they get.
$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	@echo "Building and installing centroids (about a minute the first time)"
	$(INSTALL) --config-settings=cmake.define.CENTROIDS_WERROR=ON .
	@touch $@

$(VENV)/.demo $(VENV)/.cluster $(VENV)/.test $(VENV)/.interop $(VENV)/.dev $(VENV)/.audit $(VENV)/.bench: $(VENV)/.installed
$(VENV)/.demo: GROUP := demo
$(VENV)/.cluster: GROUP := demo-cluster
$(VENV)/.test: GROUP := test
$(VENV)/.interop: GROUP := interop $(if $(shell command -v java),spark)
$(VENV)/.dev: GROUP := dev
$(VENV)/.audit: GROUP := audit
$(VENV)/.bench: GROUP := benchmark
$(VENV)/.demo $(VENV)/.cluster $(VENV)/.test $(VENV)/.interop $(VENV)/.dev $(VENV)/.audit $(VENV)/.bench:
	@echo "Installing what '$(GROUP)' needs"
	$(INSTALL) $(addprefix --group ,$(GROUP))
	@touch $@

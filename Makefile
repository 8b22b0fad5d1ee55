# Strata. `make help` lists the targets.

NAME ?= googlenet
STRATA = target/release/strata
CARGO_FLAGS = --release --locked
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup build experiment sweep compare claims report tables test lint bench bench-busy bench-peers bench-parts bench-ranks torture cluster-test fuzz asan ubsan audit clean

help: ## list the targets
	@echo "Strata: experiments on deep convolutional architectures. Targets:"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22
	@echo "Once built, see \`$(STRATA) --help\`."

setup: ## install libtorch (530 MB, once) and configure cargo; CUDA=1 installs the CUDA libraries too
	@CUDA=$(CUDA) sh scripts/setup.sh

build: setup ## build the program: target/release/strata
	@cargo build $(CARGO_FLAGS)

experiment: build ## train experiments/NAME.toml (NAME=googlenet), installing whatever is missing
	@$(STRATA) train $(NAME) $(ARGS)

sweep: NAME := architectures
sweep: build ## run experiments/sweeps/NAME.toml (NAME=architectures); run it again to continue after an interruption
	@$(STRATA) sweep sweeps/$(NAME) $(ARGS)

compare: build ## one table of runs and sweeps: ARGS="resnet20 plain20 --baseline plain20"; default: everything
	@$(STRATA) compare $(ARGS)

claims: build ## run the missing experiments of the claims, cheapest first (hours; can be interrupted), and update the README's table; ARGS="5 11" for some
	@$(STRATA) claims --run $(ARGS) && $(STRATA) claims --write README.md

tables: build ## write results/tables: the cost of every architecture, the chart of accuracy against operations
	@$(STRATA) tables
	@cargo run --quiet $(CARGO_FLAGS) --example deck

report: build ## write results/report.html: all results on one page
	@$(STRATA) report $(ARGS)

test: setup ## run the test suite
	@cargo test $(CARGO_FLAGS)

torture: export STRATA_TALLY = target/torture.md
torture: setup ## stress tests (kills, faults, damage, a day of steps; docs/reliability.md): KILLS=50 per recipe, CASES=3000 random experiments, STEPS=2400000
	@mkdir -p target && rm -f $(STRATA_TALLY)
	@STRATA_KILLS=$(KILLS) STRATA_STEPS=$(STEPS) cargo test $(CARGO_FLAGS) --test cli torture -- --ignored --nocapture --test-threads 1
	@STRATA_CASES=$(CASES) cargo test $(CARGO_FLAGS) --lib -- --include-ignored --nocapture data::idx train::checkpoint train::properties::long
	@printf '\n| what | how often | lost |\n| --- | --- | --- |\n' && cat $(STRATA_TALLY)

cluster-test: build ## run a sweep under Slurm, GNU parallel, HyperQueue and on file systems without common locks, all on this machine; as root it installs them
	@sh scripts/cluster-test.sh

fuzz: setup ## fuzz the file readers, SECONDS=60 each; needs a nightly toolchain and cargo-fuzz
	@sh scripts/fuzz.sh $(SECONDS) $(ARGS)

asan: setup ## the C++ part's tests under gcc's address sanitizer, for each thread count and set of kernels; minutes to build
	@sh scripts/sanitize.sh address

ubsan: setup ## the same tests under gcc's undefined behaviour sanitizer
	@sh scripts/sanitize.sh undefined

lint: setup ## check formatting, clippy (warnings are errors), and that docs/licences.md and notices.txt are up to date
	@cargo fmt --check
	@cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	@python3 scripts/licences.py --check

audit: ## check Cargo.lock against RustSec's advisories; installs cargo-audit (once); ARGS="--db FOLDER --no-fetch"
	@cargo audit --version >/dev/null 2>&1 || cargo install cargo-audit --locked
	@cargo audit $(ARGS)

bench: build bench-peers ## benchmark training steps and evaluation against PyTorch, OpenVINO and Keras: an hour or two; ARGS=--quick: five minutes; ARGS=resnet20: one network
	@python3 bench/run.py $(if $(ARGS),$(ARGS),--docs docs/speed.md)

bench-busy: build bench-peers ## benchmark training steps next to 0, 1 and 2 busy processes: 8 minutes; ARGS="googlenet" for one network
	@python3 bench/busy.py $(if $(ARGS),$(ARGS),--docs docs/speed.md)

bench-peers: ## install PyTorch, OpenVINO and Keras for `make bench` (3 GB, once)
	@sh scripts/peers.sh

bench-parts: setup ## criterion benchmarks of single operations; NAME="batch norm" selects
	@cargo bench --locked --bench parts $(if $(filter command line,$(origin NAME)),-- "$(NAME)")

bench-ranks: build ## benchmark two ranks of one thread against one process of two: 15 minutes; ARGS="googlenet --buckets 0 25" for one network
	@python3 bench/ranks.py $(ARGS)

clean: ## remove what cargo built; keeps the cache and results
	@cargo clean

#!/bin/sh
# Runs the tests that exercise the C++ code under the address sanitizer (`make asan`), with 1, 2 and 3 threads and with each
# instruction set that the processor has. Builds in target/asan. Arguments select tests.
set -eu
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- torch:: model:: train:: --skip model::reference --skip train::properties
target=x86_64-unknown-linux-gnu
runtime=$(gcc -print-file-name=libasan.so)
# At -O3 the instrumented kernels take many minutes to compile; -O1 checks the same memory accesses.
tests=$(CARGO_TARGET_DIR=target/asan \
    CXXFLAGS="-fsanitize=address -fno-omit-frame-pointer -g1 -O1" \
    RUSTFLAGS="-C link-arg=-fsanitize=address -C link-arg=-Wl,--no-as-needed -C link-arg=-lasan" \
    cargo test --release --locked --target $target --lib --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

# libtorch is not instrumented and never frees its globals, and one test requests more memory than there is.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1"
for threads in 1 2 3; do
    for set in default avx2 avx512; do
        log=target/asan/$threads-$set.log
        if ! OMP_NUM_THREADS=$threads ATEN_CPU_CAPABILITY=$set LD_PRELOAD=$runtime \
            "$tests" --test-threads 1 "$@" >"$log" 2>&1; then
            cat "$log"
            exit 1
        fi
        echo "threads $threads, kernels $set: $(grep '^test result' "$log")"
    done
done

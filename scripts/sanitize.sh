#!/bin/sh
# The tests that go through the C++ part, under the address sanitizer (`make asan`) or the undefined behaviour sanitizer
# (`make ubsan`): with 1, 2 and 3 threads, and with each set of vector instructions that the processor has. A build of its own
# lies in target/asan or target/ubsan. Names of tests may follow. THREADS and SETS take less: THREADS=2 SETS=default.
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
address) short=asan flags="-fsanitize=address" ;;
# libtorch hides the types that a check of virtual functions needs.
undefined) short=ubsan flags="-fsanitize=undefined -fno-sanitize-recover=all -fno-sanitize=vptr" ;;
*) echo "usage: sanitize.sh address|undefined [TEST…]" >&2; exit 2 ;;
esac
shift
[ $# -gt 0 ] || set -- torch:: model:: train:: --skip model::reference --skip train::properties
runtime=$(gcc -print-file-name=lib$short.so)
# Compiling the kernels at -O3 takes many minutes; the accesses that are checked are the same. Without warnings: the code that
# sanitizers insert gives rise to false ones.
tests=$(CARGO_TARGET_DIR=target/$short \
    STRATA_CXXFLAGS="$flags -fno-omit-frame-pointer -g1 -O1 -w" \
    cargo test --release --locked --lib --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

# libtorch, which is not sanitized, keeps what it made until the end, and one test asks for more memory than there is.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1" UBSAN_OPTIONS="print_stacktrace=1"
for threads in ${THREADS:-1 2 3}; do
    for set in ${SETS:-default avx2 avx512}; do
        log=target/$short/$threads-$set.log
        if ! OMP_NUM_THREADS=$threads ATEN_CPU_CAPABILITY=$set LD_PRELOAD=$runtime \
            "$tests" --test-threads 1 "$@" >"$log" 2>&1; then
            cat "$log"
            exit 1
        fi
        echo "threads $threads, kernels $set: $(grep '^test result' "$log")"
    done
done

#!/bin/sh
# Fuzzes each reader for a number of seconds: `sh scripts/fuzz.sh SECONDS [TARGET…]`, or `make fuzz`. New inputs go to fuzz/work,
# crashing ones to fuzz/artifacts; the corpora in fuzz/corpus are not changed.
set -u
cd "$(dirname "$0")/.."

seconds=$1
shift
[ $# -gt 0 ] || set -- experiment idx tables checkpoint torch_file

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "error: fuzzing needs a nightly toolchain and cargo-fuzz:" >&2
    echo "  rustup toolchain install nightly --profile minimal && cargo install cargo-fuzz --locked" >&2
    exit 2
fi
cargo +nightly fuzz build || exit 2

# Keeps the files of readers that open paths in memory.
[ -d /dev/shm ] && TMPDIR=/dev/shm && export TMPDIR
# libtorch never frees its globals.
export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"

# CPU seconds of all child processes so far; less than the wall time when the machine is busy or the process paused.
cpu() {
    times >"$work.times" # not in $( ): a subshell counts from 0
    cpu=$(awk 'NR == 2 { gsub(/[ms]/, " "); print int(60 * $1 + $2 + 60 * $3 + $4) }' "$work.times")
}

table=$(printf '%-12s %12s %9s %9s %8s' target executions seconds "CPU s" crashes)
failed=0
for target; do
    work=fuzz/work/$target artifacts=fuzz/artifacts/$target log=fuzz/work/$target.log
    mkdir -p "$work" "$artifacts"
    # Inputs are at most 4 KiB, and none of them may allocate half a GiB at once. The sanitizer makes the readers about twenty
    # times slower: a minute here is three seconds for a user.
    set -- -max_total_time="$seconds" -max_len=4096 -timeout=60 -report_slow_units=60 -rss_limit_mb=2048 \
        -malloc_limit_mb=512 -print_final_stats=1 -dict="fuzz/dictionaries/$target.dict"
    seeds=fuzz/corpus/$target
    [ "$target" = experiment ] && seeds="$seeds experiments tests/corpus"
    echo "$target: $seconds seconds, $log"
    before=$(find "$artifacts" -type f | wc -l)
    cpu && cpu_before=$cpu
    # shellcheck disable=SC2086 # folders without spaces
    cargo +nightly fuzz run "$target" "$work" $seeds -- "$@" >"$log" 2>&1 || failed=1
    cpu
    crashes=$(($(find "$artifacts" -type f | wc -l) - before))
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    ran=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
    [ "$crashes" -gt 0 ] && grep -E "panicked at|^SUMMARY|^ERROR|==ERROR" -A 2 "$log" | head -12
    table="$table
$(printf '%-12s %12s %9s %9s %8s' "$target" "${executions:--}" "${ran:-stopped}" $((cpu - cpu_before)) "$crashes")"
done
printf '\n%s\n' "$table"
exit $failed

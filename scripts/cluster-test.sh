#!/bin/sh
# Runs a small sweep under every scheduler that docs/cluster.md describes, on this machine, and compares the tables:
# Slurm (a controller and a node of its own), GNU parallel, HyperQueue, and two "machines" that share files but not locks.
# The Kubernetes job is checked against the schema of its API. Then two ranks on two "hosts", between which packets are late and lost.
#
# As root on Debian it may install what is missing: slurmctld, slurmd, slurm-client, munge, parallel, bindfs; and from PyPI,
# into a venv in the cache, hyperqueue and kubernetes-validate. What cannot be installed is skipped, and counted.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
export STRATA="$root/target/release/strata" THREADS=1
work=$(mktemp -d)
slurm="$work/slurm"
passed=0 failed=0 skipped=0
relay=
trap '[ -z "$relay" ] || kill -CONT $relay; [ -z "$relay" ] || kill $relay; sh "$root/scripts/slurm-here.sh" stop "$slurm" 2>/dev/null; umount "$work"/mount-* 2>/dev/null; rm -rf "$work"' EXIT

check() { # check WHAT COMMAND…
    what=$1
    shift
    if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)); echo "ok       $what"
    else failed=$((failed + 1)); echo "FAILED   $what"; sed 's/^/    /' "$work/out" | tail -20; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }

packages="slurmctld slurmd slurm-client munge parallel bindfs"
missing=$(for package in $packages; do dpkg -s "$package" >/dev/null 2>&1 || echo "$package"; done)
[ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >"$work/apt.log" 2>&1 || true
venv="${XDG_CACHE_HOME:-$HOME/.cache}/strata/cluster-venv"
[ -x "$venv/bin/kubernetes-validate" ] ||
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet hyperqueue==0.27.0 kubernetes-validate==1.37.0; } >"$work/pip.log" 2>&1

experiment() { # experiment EPOCHS: a small one, open for more keys of [train]
    cat <<TOML
[data]
dataset = "synthetic"
validation = 100
limit = 128
[model]
preset = "resnet"
layout = "cifar"
depth = 8
width = 8
input = [1, 14, 14]
[train]
epochs = $1
batch = 64
lr = 0.05
TOML
}
# A folder with a sweep of four points. $1 is the number of epochs.
folder() {
    mkdir -p "$work/$2" && cd "$work/$2" || exit 1
    experiment "$1" >grid.toml
    cat >>grid.toml <<TOML
[sweep]
model.depth = [8, 14]
seed = [0, 1]
TOML
}
# The table of the sweep in this folder without times.
table() { python3 -c '
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
for row in rows: row.pop("seconds")
print(rows)' "$1/results/sweeps/grid/table.csv"; }
same() { [ "$(table "$work/${2:-whole}")" = "$(table "$work/$1")" ]; } # same NAME [REFERENCE]
interrupted() { grep -qs ",interrupted," results/runs/grid/*/summary.csv; }
wait_for() { # wait_for SECONDS COMMAND…
    left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 1
    done
}
running() { [ "$(cat results/runs/grid/*/epochs.csv 2>/dev/null | wc -l)" -gt 3 ]; }

folder 40 whole
check "the sweep without a scheduler" "$STRATA" sweep grid.toml --threads 1
# Ten times as long: the reference of sweeps that are interrupted while they run.
folder 400 long
check "  and a longer one" "$STRATA" sweep grid.toml --threads 1

if sh "$root/scripts/slurm-here.sh" start "$slurm" >"$work/slurm.log" 2>&1; then
    export SLURM_CONF="$slurm/slurm.conf"
    folder 40 slurm
    check "strata sweep --slurm" "$STRATA" sweep grid.toml --threads 1 --slurm --array 2 --time 10 --partition main --poll 1
    check "  its table" same slurm
    folder 40 array
    check "sbatch --array examples/cluster/slurm-array.sh" sbatch --wait --array=0-3%2 --export=ALL "$root/examples/cluster/slurm-array.sh" grid.toml --threads 1
    check "  its table" same array
    folder 400 requeued
    "$STRATA" sweep grid.toml --threads 1 --slurm --poll 1 >"$work/requeued.log" 2>&1 &
    driver=$!
    check "a point runs" wait_for 60 running
    # As before a time limit. Its exit code counts tasks that have saved by now as errors.
    scancel --signal=USR1 --state=RUNNING --name="$(squeue --noheader --format=%j | sort -u | paste -sd,)" 2>>"$work/slurm.log"
    check "SIGUSR1 to the running tasks: they save" wait_for 60 interrupted
    check "  they are requeued and finish" wait $driver
    check "  its table" same requeued long
    check "  points resumed" sh -c 'grep -l "resumed after epoch" results/runs/grid/*/run.log'
    folder 4000 cancelled
    "$STRATA" sweep grid.toml --threads 1 --slurm --poll 1 --on-interrupt leave >"$work/leave.log" 2>&1 &
    driver=$!
    check "a point runs" wait_for 60 running
    kill -INT $driver
    wait $driver
    check "Ctrl-C leaves the jobs" sh -c '[ -n "$(squeue --noheader)" ]'
    "$STRATA" sweep grid.toml --threads 1 --slurm --poll 1 --on-interrupt cancel >"$work/cancel.log" 2>&1 &
    driver=$!
    sleep 3
    kill -INT $driver
    wait $driver
    check "  or cancels them, of an earlier process too" wait_for 60 sh -c '[ -z "$(squeue --noheader)" ]'
    check "  and running points save" interrupted
    check "  only one job was submitted" sh -c '! grep -q submitted "$1"' sh "$work/cancel.log"
    folder 4000 limit
    check "submitted with a time limit of a minute" sbatch --array=0 --time=1 --signal=USR1@30 "$root/examples/cluster/slurm-array.sh" grid.toml --threads 1
    check "  the point saves before it" wait_for 100 interrupted
    scancel --name=slurm-array.sh
else
    skip "Slurm: $(tail -1 "$work/slurm.log")"
fi

if command -v parallel >/dev/null; then
    folder 40 parallel
    check "examples/cluster/parallel.sh" env JOBS=2 sh "$root/examples/cluster/parallel.sh" grid.toml
    check "  its table" same parallel
else
    skip "GNU parallel"
fi

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "import hyperqueue" 2>/dev/null; then
    folder 40 hq
    check "examples/cluster/hq-points.py" "$venv/bin/python" "$root/examples/cluster/hq-points.py" grid.toml --local
    check "  its table" same hq
else
    skip "HyperQueue"
fi

if [ -x "$venv/bin/kubernetes-validate" ]; then
    check "examples/cluster/kubernetes.yaml has the schema of a Job" "$venv/bin/kubernetes-validate" --strict --quiet "$root/examples/cluster/kubernetes.yaml"
else
    skip "kubernetes-validate"
fi

# Two mounts of one folder by FUSE, whose locks are local to a mount; and another boot_id makes another machine.
mkdir -p "$work/mount-a" "$work/mount-b" "$work/locks"
if bindfs "$work/locks" "$work/mount-a" 2>"$work/fuse.log" && bindfs "$work/locks" "$work/mount-b" 2>>"$work/fuse.log"; then
    folder 400 locks
    on_machine() { # on_machine NAME COMMAND…: in a mount namespace of its own, with the folder's view of that machine
        name=$1
        shift
        echo "boot-of-$name" >"$work/boot-$name"
        unshare --mount --uts sh -c 'mount --bind "$1" /proc/sys/kernel/random/boot_id && hostname "$2" && cd "$3" && shift 3 && exec "$@"' \
            sh "$work/boot-$name" "node-$name" "$work/mount-$name" "$@"
    }
    check "a lock of one mount is free in the other" sh -c 'flock "$1/grid.toml" flock -n "$2/grid.toml" true' sh "$work/mount-a" "$work/mount-b"
    on_machine a "$STRATA" sweep grid.toml --threads 1 >"$work/a.log" 2>&1 &
    a=$!
    on_machine b "$STRATA" sweep grid.toml --threads 1 >"$work/b.log" 2>&1 &
    b=$!
    wait $a
    ended=$?
    wait $b
    check "two machines without common locks share a sweep" [ "$ended$?" = 00 ]
    check "  no point ran twice" sh -c '[ "$(cat results/runs/grid/*/run.log | grep -c " an epoch; ")" = 4 ]'
    check "  its table" same locks long
    cd "$work/locks" && rm -rf results && sed -i 's/epochs = 400/epochs = 4000/; s/\[8, 14\]/[8]/; s/\[0, 1\]/[0]/' grid.toml
    on_machine a "$STRATA" train grid.toml --threads 1 >"$work/a.log" 2>&1 &
    a=$!
    check "a run on machine a" wait_for 60 running
    # All of machine a dies at once: the run, and the process beside it that would record its end.
    run=$(pgrep -P $a)
    kill -KILL $(pgrep -P "$run") "$run"
    refused() {
        on_machine b "$STRATA" train grid.toml --threads 1 >"$work/b.log" 2>&1
        [ $? = 2 ] && grep "locked by process [0-9]* on node-a" "$work/b.log"
    }
    check "  machine b waits while its claim is fresh" refused
    sleep 62
    check "  and takes it over after a minute" on_machine b "$STRATA" train grid.toml --threads 1 --until 1
    check "  from its checkpoint" sh -c 'grep "resumed after epoch" results/runs/grid/*/run.log'
else
    skip "file systems without common locks: bindfs cannot mount here"
fi

# Two ranks beside each other and on two hosts, 40 ms there and back, of whose packets 1 % are lost.
mkdir -p "$work/near" "$work/far"
{ experiment 3 && echo "sync_bn = true"; } >"$work/near/far.toml"
cp "$work/near/far.toml" "$work/far"
host_a=strata-a-$$ host_b=strata-b-$$
start_rank() { # start_rank NUMBER ADDRESS COMMAND…: in the background, as a launcher would; its output is in rank-NUMBER.log
    number=$1 address=$2
    shift 2
    "$@" env RANK="$number" WORLD_SIZE=2 MASTER_ADDR="$address" MASTER_PORT=29577 "$STRATA" train far.toml --threads 1 >"$work/rank-$number.log" 2>&1 &
}
both_ranks() { # both_ranks ADDRESS COMMAND: starts both, each behind the command with its host in the place of HOST
    start_rank 0 "$1" $(echo "$2" | sed "s/HOST/$host_a/")
    first=$!
    start_rank 1 "$1" $(echo "$2" | sed "s/HOST/$host_b/")
    second=$!
}
ended_with() { # ended_with CODE: both ranks
    wait $first
    ended=$?
    wait $second
    [ "$ended $?" = "$1 $1" ] || { cat "$work/rank-0.log" "$work/rank-1.log"; false; }
}
epochs() { cut -d, -f1-9 "$work/$1"/results/runs/far/*/epochs.csv; }
distant="ip netns exec HOST env GLOO_SOCKET_IFNAME=far0 STRATA_RANKS_TIMEOUT=20"
python3 "$root/scripts/far-network.py" "$host_a" "$host_b" --delay 20 --loss 0.01 >"$work/relay.log" 2>&1 &
relay=$!
if wait_for 10 grep -qs joined "$work/relay.log"; then
    cd "$work/near" && both_ranks 127.0.0.1 env
    check "two ranks beside each other" ended_with 0
    cd "$work/far" && both_ranks 10.77.0.1 "$distant"
    check "two ranks on distant hosts" ended_with 0
    check "  their table" sh -c '[ -n "$1" ] && [ "$1" = "$2" ]' sh "$(epochs near)" "$(epochs far)"
    sed -i 's/epochs = 3/epochs = 4000/' far.toml && rm -rf results && both_ranks 10.77.0.1 "$distant"
    check "they run" wait_for 60 sh -c '[ "$(cat results/runs/far/*/epochs.csv 2>/dev/null | wc -l)" -gt 1 ]'
    kill -STOP $relay
    check "the network between them fails: both end" ended_with 1
    check "  with the name of the other" sh -c 'grep "error: rank 1 ended or does not answer" "$1/rank-0.log" && grep "error: rank 0 ended or does not answer" "$1/rank-1.log"' sh "$work"
    kill -CONT $relay
    sleep 1
    both_ranks 10.77.0.1 "$distant"
    check "the network is back: they go on" wait_for 60 grep -s "resumed after epoch" results/runs/far/*/run.log
    kill -INT $first
    check "  until one is asked to stop" ended_with 130
    kill $relay
    wait $relay
    relay=
    check "  packets were lost" grep -v " 0 dropped" "$work/relay.log"
else
    relay=
    skip "distant hosts: $(tail -1 "$work/relay.log")"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

#!/bin/sh
# Points of a sweep under GNU parallel: `examples/cluster/parallel.sh FILE` here, or on several machines with a shared folder,
#
#     PARALLEL="--sshlogin node1,node2 --workdir $PWD" examples/cluster/parallel.sh FILE
#
# Interrupted or killed, the same command goes on. JOBS is the number of points at once on each machine.
strata=${STRATA:-strata}
jobs=${JOBS:-2}
"$strata" sweep "$@" --list --format csv | tail -n +2 | cut -d, -f2 |
    parallel --jobs "$jobs" --line-buffer "$strata" sweep "$@" --threads "${THREADS:-1}" --point {}

#!/bin/sh
# Starts a Slurm of one node on this machine, in a folder of its own: `slurm-here.sh start FOLDER`, `slurm-here.sh stop FOLDER`.
# For `make cluster-test`; needs Debian's slurmctld, slurmd, slurm-client and munge, and root.
#
# `export SLURM_CONF=FOLDER/slurm.conf` afterwards. Processes are tracked by their parents, because containers often lack a
# writable cgroup tree; accounting is off.
set -eu
folder=$(realpath -m "$2")

stop() {
    for pid in slurmctld slurmd munged; do
        [ -f "$folder/$pid.pid" ] && kill "$(cat "$folder/$pid.pid")" 2>/dev/null || true
    done
}

start() {
    for tool in slurmctld slurmd sbatch munged; do
        command -v "$tool" >/dev/null || { echo "slurm-here: $tool is not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)" >&2; exit 1; }
    done
    mkdir -p "$folder/state" "$folder/spool"
    # Sockets and logs of munge belong to the user that it runs as.
    head -c 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
        --seed-file="$folder/munge.seed" --log-file="$folder/munged.log"
    host=$(hostname -s)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=requeue_delay=1
ReturnToService=2
KillWait=10
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF="$folder/slurm.conf"
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    for _ in $(seq 30); do
        sinfo --noheader --format=%t 2>/dev/null | grep -q idle && return
        sleep 1
    done
    echo "slurm-here: the node did not come up; see $folder/*.log" >&2
    exit 1
}

"$1"

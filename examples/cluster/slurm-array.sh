#!/bin/sh
# One task of a Slurm array for each point of a sweep, without `strata sweep --slurm`. Submit it with the last index:
#
#     last=$(($(strata sweep FILE --list --format csv | wc -l) - 2))
#     sbatch --array=0-$last%64 --time=1:00:00 examples/cluster/slurm-array.sh FILE
#
# Two minutes before the time limit Slurm sends SIGUSR1 to the steps: the point finishes its training step, saves, and ends with
# exit code 130; the task then goes back into the queue and resumes. `srun` is needed, since the signal goes to steps only.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
srun --ntasks=1 ${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} \
    "${STRATA:-strata}" sweep "$@" --point "$SLURM_ARRAY_TASK_ID"
code=$?
if [ $code = 130 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $code

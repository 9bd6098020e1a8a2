#!/bin/sh
# Trains one run on the hosts of a Slurm job, with a rank for each GPU: sbatch examples/slurm.sh
#SBATCH --job-name=tuitrain
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --signal=TERM@120

# The first host of the job has the run: watch it from there, or from where its home is mounted.
# Two minutes before the job's time is over, the run stops with a checkpoint.
FIRST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export FIRST

srun sh -c 'exec tuitrain run digits --name "digits-$SLURM_JOB_ID" --plain --nproc auto \
    --nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$FIRST:29400"'

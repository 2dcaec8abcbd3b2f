#!/bin/bash
# Ray on Slurm: one Ray machine on each node of the job, the command on the first of them.
#
#   sbatch configs/cluster/slurm_ray.sh DATA_SET CONFIG        (from the repository's root)
#
# Submit it again after failures: only what is missing is made. A node that dies during the run costs
# the episodes that it was making; the others go on (--no-kill).
#SBATCH --job-name=generate-ray
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --mem-per-cpu=1G
#SBATCH --time=24:00:00
#SBATCH --no-kill
set -euo pipefail
data=${1:?name the data set: sbatch $0 DATA_SET CONFIG}
config=${2:?name the dataset config: sbatch $0 DATA_SET CONFIG}
cd "${SLURM_SUBMIT_DIR:-.}"
python=${PYTHON:-.venv/bin/python}
ray=("$python" -m ray.scripts.scripts)
cpus=${SLURM_CPUS_PER_TASK:-1}
port=$((20000 + SLURM_JOB_ID % 20000)) # several jobs may share a machine
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}'):$port

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    "${ray[@]}" start --head --port="$port" --num-cpus="$cpus" --include-dashboard=false --block &
sleep 15
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \
        --exclude="$head" --overlap --kill-on-bad-exit=0 \
        "${ray[@]}" start --address="$address" --num-cpus="$cpus" --block &
    sleep 15
fi

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    "$python" data_generation/RLBench/generate_data.py --path_dataset "$data" \
    --path_dataset_config "$config" --ray "$address"

#!/bin/bash
# Slurm job array: each task of the array makes one shard, a last job writes the report.
#
#   sbatch configs/cluster/slurm_array.sh DATA_SET CONFIG      (from the repository's root)
#   sbatch --array=0-63 configs/cluster/slurm_array.sh ...     (another number of shards)
#
# Submit it again after failures: only what is missing is made. DATA_SET is on a disk that all
# machines share.
#SBATCH --job-name=generate
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=1G
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail
data=${1:?name the data set: sbatch $0 DATA_SET CONFIG}
config=${2:?name the dataset config: sbatch $0 DATA_SET CONFIG}
cd "${SLURM_SUBMIT_DIR:-.}"
python=${PYTHON:-.venv/bin/python}
command=("$python" data_generation/RLBench/generate_data.py --path_dataset "$data" \
    --path_dataset_config "$config")

# The report: once, when all tasks of the array have ended, whether well or not.
if [ "${SLURM_ARRAY_TASK_ID:-}" = "${SLURM_ARRAY_TASK_MIN:-0}" ] && command -v sbatch >/dev/null &&
    [ "${SLURM_RESTART_COUNT:-0}" = 0 ]; then
    sbatch --dependency="afterany:$SLURM_ARRAY_JOB_ID" --job-name=generate-report --time=4:00:00 \
        --wrap="$(printf '%q ' "${command[@]}" --finish)"
fi

exec "${command[@]}" --shard auto --n_processes "${SLURM_CPUS_PER_TASK:-1}"

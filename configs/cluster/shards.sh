#!/bin/bash
# Shards without a scheduler: so many processes at once, then the report.
#
#   bash configs/cluster/shards.sh DATA_SET CONFIG NUMBER      (from the repository's root)
#
# With GNU parallel, on several machines that share the disk and the clone's path:
#
#   parallel --sshloginfile machines.txt --workdir "$PWD" .venv/bin/python \
#       data_generation/RLBench/generate_data.py --path_dataset DATA_SET \
#       --path_dataset_config CONFIG --shard {}/64 ::: $(seq 0 63)
#   (then the same command once with --finish in place of --shard)
#
# Start it again after failures: only what is missing is made.
set -uo pipefail
data=${1:?name the data set: bash $0 DATA_SET CONFIG NUMBER}
config=${2:?name the dataset config: bash $0 DATA_SET CONFIG NUMBER}
number=${3:?say how many shards: bash $0 DATA_SET CONFIG NUMBER}
python=${PYTHON:-.venv/bin/python}
command=("$python" data_generation/RLBench/generate_data.py --path_dataset "$data" \
    --path_dataset_config "$config")

for ((i = 0; i < number; i++)); do
    "${command[@]}" --shard "$i/$number" &
done
wait
exec "${command[@]}" --finish

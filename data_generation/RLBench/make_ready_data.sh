#!/usr/bin/env bash
# Make the data set that ships with the project, its data card and its pictures, anew:
# pose_obj_3d/data/RLBench_pose_est_data/. On the same platform the archives have the same bytes
# each time; SHA256SUMS says so. Interrupted, it continues; about 20 minutes on two cores.
#   bash make_ready_data.sh [output folder]
# It needs one package more than data generation: pip install deflate==0.9.0
#   PYTHON       interpreter (default python)
#   N_PROCESSES  worker processes (default: one for each core); the result does not depend on it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."  # the repository's root
output=${1:-$PWD/pose_obj_3d/data/RLBench_pose_est_data}
case $output in /*) ;; *) output=$OLDPWD/$output ;; esac
python=${PYTHON:-python}
processes=${N_PROCESSES:-$(nproc 2>/dev/null || echo 1)}
commands=data_generation/RLBench
publishing=data_generation.RLBench.publishing
work=$PWD/$commands/data/ready
mkdir -p "$work/archives"

generate() {  # <name> <config>
    "$python" $commands/generate_data.py --path_dataset "$work/$1" --path_dataset_config "configs/$2" \
        --n_processes "$processes"
}

convert() {  # <name> <config> <archive>
    "$python" $commands/convert_data.py --path_dataset "$work/$1" --path_dataset_config "configs/$2" \
        --output "$work/archives/$3"
}

generate main ready_dataset.json
convert main ready_dataset.json sim_all_formal.npz
generate more ready_dataset_more.json
convert more ready_dataset_more.json sim_more_formal.npz
"$python" -m $publishing.pack_archive "$work/archives/sim_all_formal.npz" "$work/archives/sim_more_formal.npz"
generate pictures ready_dataset_pictures.json
"$python" $commands/inspect_dataset.py "$work/pictures" --output "$work/inspection"
"$python" -m rlbench.tools.task_validator all --episodes 40 --json "$work/validation.json" >"$work/validation.txt"
"$python" -m $publishing.data_card "$work/archives" --pictures "$work/inspection" \
    --validation "$work/validation.json" --output "$output"
"$python" -m $publishing.example_frames "$output/sim_all_formal.npz" "$output/sim_more_formal.npz" \
    --config configs/ready_dataset_pictures.json

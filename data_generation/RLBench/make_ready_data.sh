#!/usr/bin/env bash
# Make the data set that ships with the project, its data card and its pictures, anew:
# pose_obj_3d/data/RLBench_pose_est_data/. On the same platform the archives have the same bytes
# each time; SHA256SUMS says so. Interrupted, it continues; about 20 minutes on two cores.
#   bash make_ready_data.sh [output folder]
# It needs one package more than data generation: pip install deflate==0.9.0
#   PYTHON       interpreter (default python)
#   N_PROCESSES  worker processes (default: one for each core); the result does not depend on it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)
output=${1:-$root/pose_obj_3d/data/RLBench_pose_est_data}
case $output in /*) ;; *) output=$OLDPWD/$output ;; esac
python=${PYTHON:-python}
processes=${N_PROCESSES:-$(nproc 2>/dev/null || echo 1)}
work=$PWD/data/ready
mkdir -p "$work/archives"

generate() {  # <name> <config>
    "$python" generate_data.py --path_dataset "$work/$1" --path_dataset_config "$root/configs/$2" \
        --n_processes "$processes"
}

generate main ready_dataset.json
"$python" convert_data.py --path_dataset "$work/main" --path_dataset_config ready_dataset.json \
    --output "$work/archives/sim_all_formal.npz"
generate more ready_dataset_more.json
"$python" convert_data.py --path_dataset "$work/more" --path_dataset_config ready_dataset_more.json \
    --output "$work/archives/sim_more_formal.npz"
"$python" publishing/pack_archive.py "$work/archives/sim_all_formal.npz" "$work/archives/sim_more_formal.npz"
generate pictures ready_dataset_pictures.json
"$python" inspect_dataset.py "$work/pictures" --output "$work/inspection"
"$python" -m rlbench.tools.task_validator all --episodes 40 --json "$work/validation.json" >"$work/validation.txt"
"$python" publishing/data_card.py "$work/archives" --pictures "$work/inspection" \
    --validation "$work/validation.json" --output "$output"

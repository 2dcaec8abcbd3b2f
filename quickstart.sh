#!/usr/bin/env bash
# Everything once: set up, make demonstrations with images, convert, train with and without 3D
# labels, and end with a table of errors in mm. Run it again: finished stages are skipped.
#   QUICKSTART_PYTHON   interpreter for the virtual environment (Python 3.11 or 3.12)
#   QUICKSTART_TORCH    another PyTorch requirement, e.g. the path of a CPU wheel
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
. .ci/environment.sh
set_up RLBench/requirements.txt data_gen_requirements.txt pose_est_requirements.txt

dataset=data/quickstart/
archive=$root/pose_obj_3d/data/quickstart/sim_all_formal.npz

say "1/4 Demonstrations of tasks 0 and 9, four cameras (data_generation/RLBench/$dataset)"
cd "$root/data_generation/RLBench"
"$PYTHON" generate_data.py --path_dataset "$dataset" --path_dataset_config configs/quickstart.json \
    --n_processes "$(nproc 2>/dev/null || echo 1)"

say "2/4 2D tracks and 3D truth ($archive)"
export path_dataset=$dataset path_dataset_config=configs/quickstart.json
sh convert_data_to_3D_pose_estimation.sh --output "$archive"

cd "$root/pose_obj_3d"
say "3/4 Training with 3D labels"
"$PYTHON" run_h36m_waypoints.py --cfg ./cfg/quickstart/config_quickstart.yaml --resume_checkpoint auto

say "4/4 Training without 3D labels"
"$PYTHON" run_h36m_waypoints_unsup.py --cfg ./cfg/quickstart/config_u_quickstart.yaml --resume_checkpoint auto

say "Errors in mm, test demonstrations"
"$PYTHON" compare_runs.py log/quickstart/config_quickstart log/quickstart/config_u_quickstart
echo "Training in TensorBoard: cd pose_obj_3d/log/quickstart && tensorboard --logdir . --bind_all"

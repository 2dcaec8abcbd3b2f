#!/usr/bin/env bash
# Set up a virtual environment, then lint, check types, and run all tests, in up to four processes.
# Arguments go to pytest: `bash run_tests.sh -n 0 -k noise` runs some tests in one process.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. .ci/environment.sh
set_up RLBench/requirements.txt data_gen_requirements.txt pose_est_requirements.txt tests/requirements.txt

say "Lint"
"$PYTHON" -m ruff check .
say "Types of the strict modules"
"$PYTHON" -m mypy --no-error-summary \
    RLBench/pyrep_mujoco/vision/cameras.py RLBench/rlbench/engines/protocols.py \
    data_generation/RLBench/raw/store.py data_generation/RLBench/tracks/detector.py \
    pose_obj_3d/common/safe_npz.py pose_obj_3d/common/plain_pickle.py pose_obj_3d/common/plain_yaml.py \
    pose_obj_3d/formal.py pose_obj_3d/common/archive_meta.py pose_obj_3d/formal_legacy.py \
    pose_obj_3d/training/checkpoint_file.py pose_obj_3d/training/checkpoint_state.py pose_obj_3d/training/config.py pose_obj_3d/geometry/multi_view.py \
    pose_obj_3d/training/losses.py pose_obj_3d/evaluation/metrics.py pose_obj_3d/evaluation/intervals.py
say "Tests"
# By file: what a file's tests share is made once. In order: the long ones come early.
exec "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"

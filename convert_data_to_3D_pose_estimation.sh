#!/bin/sh
# Convert raw data to pose_obj_3d/data/RLBench_pose_est_data/sim_all_formal.npz.
#   export path_dataset=data/my_expe/ path_dataset_config=configs/dataset_config.json
#   sh convert_data_to_3D_pose_estimation.sh [flags of convert_data.py]
# PYTHON names another interpreter.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ -z "${path_dataset:-}" ]; then
    echo "convert_data_to_3D_pose_estimation.sh: the environment variable path_dataset is not set;" \
        "export path_dataset=<folder that generate_data.py filled>" >&2
    exit 2
fi
if [ -z "${PYTHON:-}" ] && ! command -v python >/dev/null 2>&1; then
    PYTHON=python3
fi
# Looked for, not loaded: what a limit on memory or another version forbids, convert_data.py says itself.
if ! "${PYTHON:-python}" -c 'import importlib.util as u, sys
sys.exit(any(u.find_spec(n) is None for n in ("cv2", "numpy", "rlbench", "tqdm")))' >/dev/null 2>&1; then
    echo "convert_data_to_3D_pose_estimation.sh: ${PYTHON:-python} is not there or lacks packages;" \
        "pip install -r RLBench/requirements.txt -r data_gen_requirements.txt ./RLBench," \
        "or name another interpreter with PYTHON" >&2
    exit 2
fi
exec "${PYTHON:-python}" "$here/data_generation/RLBench/convert_data.py" \
    --path_dataset "$path_dataset" \
    --path_dataset_config "${path_dataset_config:-dataset_config.json}" "$@"

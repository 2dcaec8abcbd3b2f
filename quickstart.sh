#!/usr/bin/env bash
# Everything once: set up, make demonstrations with images, convert, train with and without 3D
# labels, and end with a table of errors in mm. Run it again: finished stages are skipped.
#   --pixels            the same from pictures: a network finds the keypoints in them (docs/pixels.md)
#   QUICKSTART_PYTHON   interpreter for the virtual environment (Python 3.11 or 3.12)
#   QUICKSTART_TORCH    another PyTorch requirement, e.g. the path of a CPU wheel
#   MINUTES             with --pixels: training of each detector (default 6)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
. .ci/environment.sh
case ${1-} in
"") name=quickstart tasks="tasks 0 and 9" steps=4 ;;
--pixels) name=quickstart_pixels tasks="task 9" steps=6 ;;
*) die "quickstart.sh: unknown argument $1; allowed: --pixels, or nothing" ;;
esac
set_up RLBench/requirements.txt data_gen_requirements.txt pose_est_requirements.txt

dataset=data/$name/
folder=$root/pose_obj_3d/data/$name
archive=$folder/sim_all_formal.npz

# Train a detector for each fold, side by side; each uses one core. None outlives this script: the
# next run would train beside it, into the same folder.
train_detectors() {
    local fold run i runs=()
    jobs=()
    trap 'kill ${jobs[@]+"${jobs[@]}"} 2>/dev/null || true' EXIT
    for fold in 0 1; do
        run=$folder/detector_$fold
        [ -e "$run/done" ] && continue
        mkdir -p "$run"
        "$PYTHON" run_detector.py --cfg ./cfg/quickstart/detector_quickstart_pixels.yaml --fold "$fold" \
            ${MINUTES:+--minutes "$MINUTES"} --log "$run" --resume_checkpoint auto &
        jobs+=($!) runs+=("$run")
    done
    for i in "${!jobs[@]}"; do
        wait "${jobs[i]}"
        touch "${runs[i]}/done"
    done
    trap - EXIT
}

say "1/$steps Demonstrations of $tasks, four cameras (data_generation/RLBench/$dataset)"
cd "$root/data_generation/RLBench"
"$PYTHON" generate_data.py --path_dataset "$dataset" --path_dataset_config "configs/$name.json" \
    --n_processes "$(nproc 2>/dev/null || echo 1)"

say "2/$steps 2D tracks and 3D truth ($archive)"
export path_dataset=$dataset path_dataset_config=configs/$name.json
sh convert_data_to_3D_pose_estimation.sh --output "$archive"

cd "$root/pose_obj_3d"
if [ "$name" = quickstart_pixels ]; then
    say "3/$steps Detectors of two folds ($folder/detector_0 and _1)"
    train_detectors
    say "4/$steps Detections, each demonstration by the detector that has not seen it"
    "$PYTHON" -m pose_obj_3d.detect --archive "$archive" --out "$folder/sim_all_detected.npz" \
        --n_processes "$(nproc 2>/dev/null || echo 1)" \
        --checkpoint "$folder"/detector_[01]/checkpoint/detector/*/fold_*/best.pt
    "$PYTHON" -m pose_obj_3d.show_detections "$folder/sim_all_detected.npz" --out "$folder/pictures"
fi

say "$((steps - 1))/$steps Training with 3D labels"
"$PYTHON" run_h36m_waypoints.py --cfg "./cfg/quickstart/config_$name.yaml" --resume_checkpoint auto

say "$steps/$steps Training without 3D labels"
"$PYTHON" run_h36m_waypoints_unsup.py --cfg "./cfg/quickstart/config_u_$name.yaml" --resume_checkpoint auto

say "Errors in mm, test demonstrations"
"$PYTHON" compare_runs.py "log/quickstart/config_$name" "log/quickstart/config_u_$name"
echo "Training in TensorBoard: cd pose_obj_3d/log/quickstart && tensorboard --logdir . --bind_all"

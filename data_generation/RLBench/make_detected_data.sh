#!/usr/bin/env bash
# Make the archive of detections from pixels: sim_all_detected.npz, tasks 9, 12, 40, 54, 79.
# Generates demonstrations with pictures (20 GB), trains two detectors for each task, and writes what
# each finds in demonstrations that it has not seen. Interrupted, it continues where it was.
#   bash make_detected_data.sh [output folder]
#   PYTHON       interpreter (default python)
#   N_PROCESSES  processes of generation and training (default: one for each core)
#   MINUTES      training of each detector (default 20)
#   EXAMPLES     demonstrations of each task (default 100)
#   TASKS        task ids (default "9 12 40 54 79")
#   CONFIG       dataset config, without its tasks and examples (default configs/pixels_dataset.json)
#   NAME         folder in data/ for all that is made on the way (default pixels)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." # the repository's root
output=${1:-$PWD/pose_obj_3d/data/RLBench_pose_est_data}
case $output in /*) ;; *) output=$OLDPWD/$output ;; esac
python=${PYTHON:-python}
processes=${N_PROCESSES:-$(nproc 2>/dev/null || echo 1)}
config_from=${CONFIG:-configs/pixels_dataset.json} name=${NAME:-pixels}
minutes=${MINUTES:-20} examples=${EXAMPLES:-100} tasks=${TASKS:-9 12 40 54 79}
commands=data_generation/RLBench
work=$PWD/$commands/data/$name
archive=$work/archives/sim_all_formal.npz
mkdir -p "$work/archives" "$work/configs" "$output"

config=$work/configs/dataset.json
sed -e "s/\"train_task_ids\": .*/\"train_task_ids\": [$(echo "$tasks" | sed 's/ /, /g')],/" \
    -e "s/\"n_ex_per_task\": .*/\"n_ex_per_task\": $examples,/" "$config_from" >"$config"
"$python" $commands/generate_data.py --path_dataset "$work/raw" --path_dataset_config "$config" \
    --n_processes "$processes"
"$python" $commands/convert_data.py --path_dataset "$work/raw" --path_dataset_config "$config" \
    --output "$archive"

# Train the detector of a fold; `done` is written once it is trained.
train() { # <task> <fold>
    local run=$work/detectors/task_$1/fold_$2
    [ -e "$run/done" ] && return
    mkdir -p "$run"
    "$python" pose_obj_3d/run_detector.py --cfg "$work/configs/task_$1.yaml" --fold "$2" --log "$run" \
        --resume_checkpoint auto
    touch "$run/done"
}

checkpoints=()
for task in $tasks; do
    cat >"$work/configs/task_$task.yaml" <<YAML
DATA:
  ARCHIVE: $archive
  TASK: $task
  FOLDS: 2
TRAIN:
  MINUTES: $minutes
YAML
    if [ "$processes" -gt 1 ]; then # each training uses one core
        train "$task" 0 &
        train "$task" 1
        wait $!
    else
        train "$task" 0
        train "$task" 1
    fi
    checkpoints+=("$work/detectors/task_$task"/fold_[01]/checkpoint/detector/*/fold_*/best.pt)
done

detected=$work/archives/sim_all_detected.npz
"$python" -m pose_obj_3d.detect --n_processes "$processes" --checkpoint "${checkpoints[@]}" \
    --archive "$archive" --out "$detected"
for task in $tasks; do
    "$python" -m pose_obj_3d.show_detections "$detected" --task "$task" --no_video \
        --out "$work/pictures/T$task"
done
"$python" -m data_generation.RLBench.publishing.detected "$detected" "$output" \
    --pictures "$work/pictures"

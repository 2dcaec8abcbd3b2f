#!/usr/bin/env bash
# Make the archive of detections from pixels: sim_all_detected.npz, tasks 9, 12, 40, 54, 79.
# Generates demonstrations with pictures (20 GB), trains a detector for each fold of each task, and
# writes what each finds in demonstrations that it has not seen. Interrupted, it continues.
#   bash make_detected_data.sh [output folder]
#   PYTHON       interpreter (default python)
#   N_PROCESSES  processes of generation and training (default: one for each core)
#   FOLDS        detectors of each task (default 4: each learns from three quarters of the
#                demonstrations that are not for tests)
#   MINUTES      training of each detector (default 20)
#   STEPS        batches of each training in place of MINUTES: the same on a busy machine
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
examples=${EXAMPLES:-100} tasks=${TASKS:-9 12 40 54 79} folds=${FOLDS:-4}
budget="MINUTES: ${MINUTES:-20}"
[ -n "${STEPS:-}" ] && budget="STEPS: $STEPS"
commands=data_generation/RLBench
work=$PWD/$commands/data/$name
archive=$work/archives/sim_all_formal.npz

# Detectors of other settings do not go together: what is there keeps its own.
settings="FOLDS=$folds ${budget/: /=}"
for task in $tasks; do
    begun=$work/detectors/task_$task/settings
    if [ -e "$begun" ] && [ "$(cat "$begun")" != "$settings" ]; then
        echo "error: $work/detectors/task_$task was begun with $(cat "$begun"), not $settings;" \
            "pass these again, another NAME, or delete that folder" >&2
        exit 2
    fi
done
mkdir -p "$work/archives" "$work/configs" "$output"

config=$work/configs/dataset.json
sed -e "s/\"train_task_ids\": .*/\"train_task_ids\": [$(echo "$tasks" | sed 's/ /, /g')],/" \
    -e "s/\"n_ex_per_task\": .*/\"n_ex_per_task\": $examples,/" "$config_from" >"$config"
"$python" $commands/generate_data.py --path_dataset "$work/raw" --path_dataset_config "$config" \
    --n_processes "$processes"
"$python" $commands/convert_data.py --path_dataset "$work/raw" --path_dataset_config "$config" \
    --output "$archive"

# Each training uses one core; as many run side by side as there are processes. `done` is written once
# a detector is trained. No training outlives this script: the next run would train beside it.
jobs=() runs=()
trap 'kill ${jobs[@]+"${jobs[@]}"} 2>/dev/null || true' EXIT
train() { # <task> <fold>
    local run=$work/detectors/task_$1/fold_$2
    [ -e "$run/done" ] && return
    mkdir -p "$run"
    "$python" pose_obj_3d/run_detector.py --cfg "$work/configs/task_$1.yaml" --fold "$2" --log "$run" \
        --resume_checkpoint auto &
    jobs+=($!) runs+=("$run")
    if [ "${#jobs[@]}" -ge "$processes" ]; then finish; fi
}
finish() {
    local i
    for i in ${jobs[@]+"${!jobs[@]}"}; do
        wait "${jobs[i]}"
        touch "${runs[i]}/done"
    done
    jobs=() runs=()
}

for task in $tasks; do
    mkdir -p "$work/detectors/task_$task"
    echo "$settings" >"$work/detectors/task_$task/settings"
    cat >"$work/configs/task_$task.yaml" <<YAML
DATA:
  ARCHIVE: $archive
  TASK: $task
  FOLDS: $folds
TRAIN:
  $budget
YAML
    for fold in $(seq 0 $((folds - 1))); do
        train "$task" "$fold"
    done
done
finish
checkpoints=()
for task in $tasks; do
    for fold in $(seq 0 $((folds - 1))); do
        checkpoints+=("$work/detectors/task_$task/fold_$fold"/checkpoint/detector/*/fold_*/best.pt)
    done
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

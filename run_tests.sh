#!/usr/bin/env bash
# Set up a virtual environment, then lint, check types, and run all tests, in up to four processes.
# Arguments go to pytest: `bash run_tests.sh -n 0 -k noise` runs some tests in one process,
# `bash run_tests.sh -m "not slow"` what is worth to run at each commit. A run of all tests
# also measures coverage, and fails below what pyproject.toml asks for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. .ci/environment.sh
set_up RLBench/requirements.txt data_gen_requirements.txt pose_est_requirements.txt tests/requirements.txt

say "Lint"
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
say "Types"
"$PYTHON" -m mypy --no-error-summary
say "Tests"
# By file: what a file's tests share is made once. In order: the long ones come early.
run=("$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder)
[ $# -gt 0 ] && exec "${run[@]}" "$@"
# A whole run also counts the lines that tests reach, in the commands that they start too.
export COVERAGE_FILE=$PWD/.coverage # of processes that start in other folders, too
"${run[@]}" --cov --cov-report=
say "Coverage of lines [%]"
"$PYTHON" -m coverage report --fail-under=0 >/dev/null # the first one says what it combines
cover() { printf '%-16s' "$1"; "$PYTHON" -m coverage report --format=total "${@:2}"; }
for package in RLBench/pyrep_mujoco RLBench/rlbench data_generation pose_obj_3d; do
    cover "${package##*/}" --include="$package/*" --fail-under=0
done
cover all

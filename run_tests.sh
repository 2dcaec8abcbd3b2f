#!/usr/bin/env bash
# Set up a virtual environment, then lint, check types, and run all tests, in up to four processes.
# Arguments go to pytest: `bash run_tests.sh -n 0 -k noise` runs some tests in one process.
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
exec "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"

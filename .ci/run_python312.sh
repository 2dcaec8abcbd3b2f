#!/usr/bin/env bash
# Install stage 1 into .venv-3.12 and run its fast tests with Python 3.12. PyTorch is left out:
# what loads it, a robot that acts by networks too, is tested with the first Python alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. .ci/environment.sh

is_312() { [ -n "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; }

# Interpreters by that name: on PATH, of pyenv (whose own `python3.12` may refuse), of uv.
candidates() {
    type -aP python3.12 || true
    local version
    for version in $(pyenv versions --bare 2>/dev/null | grep '^3\.12\.' || true); do
        echo "$(pyenv prefix "$version")/bin/python3.12"
    done
    uv python find 3.12 2>/dev/null || true
}

find_312() {
    local candidate
    while read -r candidate; do
        if is_312 "$candidate"; then
            echo "$candidate"
            return
        fi
    done < <(candidates)
}

base=$(find_312)
if [ -z "$base" ]; then
    say "Python 3.12: skipped, no such interpreter was found"
    exit 0
fi
say "Python 3.12 ($base)"
is_312 .venv-3.12/bin/python || "$base" -m venv --clear .venv-3.12
PYTHON=$PWD/.venv-3.12/bin/python
export PYTHON LP_NUM_THREADS=1
install_requirements RLBench/requirements.txt data_gen_requirements.txt tests/requirements.txt
"$PYTHON" -c 'import pose_obj_3d.formal, pyrep_mujoco, rlbench.environment, rlbench.gym'
exec "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
    -m "not slow" --ignore=tests/unit/data_generation/executing \
    tests/unit/pyrep_mujoco tests/unit/as_pyrep tests/unit/rlbench tests/unit/data_generation

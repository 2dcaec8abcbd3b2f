# Sourced by quickstart.sh and run_tests.sh: finds Python, makes .venv, installs requirements.
# Sets PYTHON. QUICKSTART_PYTHON names the interpreter, QUICKSTART_TORCH another PyTorch
# requirement (a CPU wheel, say). An active virtual environment is used as it is.

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 2; }

is_supported() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; }

# check_python PYTHON WHERE: end unless it is a version that the project supports.
check_python() {
    is_supported "$1" && return
    local version
    version=$("$1" -c 'import sys; print("is Python %d.%d" % sys.version_info[:2])' 2>/dev/null || echo "does not run")
    die "$2 $version; Python 3.11 and 3.12 are supported: $3"
}

find_python() {
    local name
    for name in ${QUICKSTART_PYTHON:-python3.11 python3.12 python3 python}; do
        if is_supported "$name"; then
            command -v "$name"
            return
        fi
    done
    die "no Python 3.11 or 3.12 found (looked for ${QUICKSTART_PYTHON:-python3.11 python3.12 python3 python}); install one or set QUICKSTART_PYTHON"
}

# Debian packages for OpenGL without a GPU, and for virtual environments.
system_packages() {
    local missing=() library known
    known=$(ldconfig -p 2>/dev/null || true) # no pipe: one that ends early counts as a failure
    for library in libEGL.so.1:libegl1 libGL.so.1:libgl1 libGLESv2.so.2:libgles2 libglib-2.0.so.0:libglib2.0-0; do
        [[ $known == *"${library%%:*}"* ]] || missing+=("${library##*:}")
    done
    if [ -z "${VIRTUAL_ENV:-}" ] && ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=(python3-venv)
    fi
    [ "${#missing[@]}" -eq 0 ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing ${missing[*]}"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } >/dev/null ||
            die "apt-get could not install: ${missing[*]}"
    else
        echo "Missing system packages: ${missing[*]}. Install them, e.g.: sudo apt-get install ${missing[*]}" >&2
    fi
}

# find_installer: sets INSTALL to pip, or to what stands in for it where an environment has none (uv makes such).
find_installer() {
    if "$PYTHON" -m pip --version >/dev/null 2>&1 || "$PYTHON" -m ensurepip >/dev/null 2>&1; then
        INSTALL=("$PYTHON" -m pip install --quiet)
    elif command -v uv >/dev/null; then
        INSTALL=(uv pip install --quiet --python "$PYTHON")
    else
        die "$PYTHON has no pip, and neither ensurepip nor uv is there to bring it: make the environment with \`python -m venv\` or \`uv venv --seed\`"
    fi
}

# PyTorch from PyPI brings CUDA on Linux; without a GPU its CPU build is tried first.
install_torch() {
    if [ -n "${QUICKSTART_TORCH:-}" ]; then
        "${INSTALL[@]}" "$QUICKSTART_TORCH"
        return
    fi
    local wanted
    wanted=$(grep '^torch==' pose_est_requirements.txt)
    "$PYTHON" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '${wanted##*==}')" 2>/dev/null && return
    if ! command -v nvidia-smi >/dev/null && "${INSTALL[@]}" "$wanted+cpu" 2>/dev/null; then
        return
    fi
    "${INSTALL[@]}" "$wanted"
}

# install_requirements FILE...: skipped when nothing changed since the last time.
install_requirements() {
    local stamp hash files=()
    local file
    for file in "$@"; do files+=(-r "$file"); done
    hash=$(cat "$@" RLBench/pyproject.toml pyproject.toml .ci/environment.sh <(echo "${QUICKSTART_TORCH:-}$PWD") | sha256sum | cut -c1-16)
    stamp=$("$PYTHON" -c 'import sys; print(sys.prefix)')/.multiview-$hash
    [ -e "$stamp" ] && return
    say "Installing Python packages into $("$PYTHON" -c 'import sys; print(sys.prefix)')"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    find_installer
    if grep -q '^torch==' "$@"; then install_torch; fi
    if [ -n "${QUICKSTART_TORCH:-}" ]; then
        # The user's PyTorch stands; everything else as listed.
        "${INSTALL[@]}" $(cat "$@" | sed 's/#.*//' | grep -v '^torch==')
    else
        "${INSTALL[@]}" "${files[@]}"
    fi
    "${INSTALL[@]}" -e ./RLBench
    "${INSTALL[@]}" --no-deps -e . # its requirements are among FILE, its PyTorch may be the user's
    touch "$stamp"
}

set_up() {
    local base
    if [ -n "${VIRTUAL_ENV:-}" ] && [ -z "${QUICKSTART_PYTHON:-}" ]; then
        base=$VIRTUAL_ENV/bin/python
        check_python "$base" "the active virtual environment $VIRTUAL_ENV" "deactivate it, or make it anew with one of them"
        system_packages "$base"
        PYTHON=$base
    else
        base=$(find_python)
        system_packages "$base"
        [ -x .venv/bin/python ] || { say "Creating .venv with $base"; "$base" -m venv .venv; }
        PYTHON=$PWD/.venv/bin/python
        check_python "$PYTHON" "the environment $PWD/.venv" "remove the folder, and it is made anew"
    fi
    export PYTHON
    export LP_NUM_THREADS=1 # one Mesa thread a process: workers share the cores
    install_requirements "$@"
}

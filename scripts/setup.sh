# Sourced by the scripts beside it. `setup LOCK` makes a virtual environment with exactly what that lock file names,
# and does nothing when that is so already. BOTSTEAD_VENV and BOTSTEAD_PYTHON choose another folder and interpreter.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${BOTSTEAD_VENV:-$root/.venv}"
python="$venv/bin/python"

fail() {
    echo "Error: $*" >&2
    exit 1
}

# The newest interpreter that works. A name on the PATH may be a stub that only says that it is not installed.
find_python() {
    local name
    for name in ${BOTSTEAD_PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11 or newer with venv is needed; install it (on Debian: apt-get install python3-venv) and start again."
}

wanted() {
    echo "$root"
    cat "$root/$1" "$root/pyproject.toml"
}

setup() {
    local lock="$1" stamp="$venv/installed-$1" log="$venv/install.log" interpreter
    if cmp -s "$stamp" <(wanted "$lock") && "$python" -c '' 2>/dev/null; then
        return
    fi
    if ! "$python" -c '' 2>/dev/null; then
        interpreter="$(find_python)"
        echo "making $venv with $("$interpreter" --version)" >&2
        "$interpreter" -m venv --clear "$venv" || fail "$venv cannot be made: give another folder with BOTSTEAD_VENV."
    fi
    echo "installing what $lock names (once, up to a minute) ..." >&2
    install -r "$root/$lock" --require-hashes >"$log" 2>&1 ||
        fail "the packages of $lock could not be installed: check the network and $log, then start again."
    install --no-build-isolation --no-index --editable "$root" >>"$log" 2>&1 ||
        fail "botstead itself could not be installed from $root: see $log."
    wanted "$lock" >"$stamp"
}

# The lock names every package there is to install, so nothing is left to resolve.
install() {
    "$python" -m pip --disable-pip-version-check --no-input install --no-deps --progress-bar off "$@"
}

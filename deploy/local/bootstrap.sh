#!/bin/sh
# bootstrap.sh COMMAND: what a new machine needs first, a Python with venv; then .venv; then COMMAND.
set -eu
cd "$(dirname "$0")/../.."

# The system's Python comes first: its packagers had it optimised by profiles of its own running, which one compiled
# on the spot mostly is not: that takes a fifth longer for everything. PYTHON=… names another.
system=/usr/bin/python3

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
usable() { "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} "$system" python3 python3.13 python3.12 python3.11; do
        if usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

install_python() {
    command -v apt-get >/dev/null || return 1
    echo "[khaacho] installing Python with apt-get" >&2
    as_root apt-get -qq update || return 1
    for packages in "python3 python3-venv" "python3.11 python3.11-venv"; do
        # shellcheck disable=SC2086 # two words are two packages
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
            install -y --no-install-recommends $packages >/dev/null || continue
        find_python >/dev/null && return
    done
    return 1
}

if [ -z "${PYTHON:-}" ] && [ ! -e .venv ] && new_enough "$system" && ! usable "$system"; then
    install_python || true # without root another one does
fi
python=$(find_python) || { install_python && python=$(find_python); } || {
    echo "[khaacho] Python 3.11 or newer with venv is needed: sudo apt-get install python3 python3-venv" >&2
    exit 2
}
export PYTHONUNBUFFERED=1
unset PYTHONDONTWRITEBYTECODE # else each of a hundred processes compiles all of ours again
"$python" deploy/local/virtualenv.py "$1"
exec .venv/bin/python -m deploy.local "$@"

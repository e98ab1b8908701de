#!/bin/sh
# Usage: venv.sh LOCK_FILE
# Makes the virtual environment .venv, if there is none, and installs the lock file's packages and Speakeasy itself (editable) into it.
set -eu
python=/usr/bin/python3
log=build/pip.log
mkdir -p build
say() { echo "python: $*"; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { say "$python is $("$python" -V), and Speakeasy needs Python 3.11 or newer." >&2 && exit 1; }
[ -x .venv/bin/python ] && [ -x .venv/bin/pip ] || { rm -rf .venv && "$python" -m venv .venv; }
pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet "$@" >"$log" 2>&1 ||
        { tail -n 12 "$log" >&2 && say "pip failed: see the lines above. Is the network up?" >&2 && exit 1; }
}
say "installing $(grep -c '^[a-z]' "$1") packages of $1 into .venv (half a minute)"
pip --no-compile --require-hashes -r "$1"
pip --no-deps --no-build-isolation --editable .

#!/bin/sh
# Makes requirements.lock, requirements-flash.lock, requirements-page.lock, requirements-dev.lock and requirements-stubs.lock afresh from pyproject.toml: newest versions, with hashes, for Python 3.11 and later on
# every platform. Not part of any build: run it by hand, run `make test`, commit the files.
set -eu
cd "$(dirname "$0")/../.."
venv=build/lock-venv
[ -x "$venv/bin/uv" ] || { /usr/bin/python3 -m venv "$venv"; "$venv/bin/pip" install -q uv; }
compile() {
    out=$1
    shift
    "$venv/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
        --no-annotate --custom-compile-command "host_tools/setup/lock.sh" "$@" -o "$out"
}
compile requirements-dev.lock pyproject.toml --extra build --extra dev
# The same versions in all of them.
compile requirements-flash.lock pyproject.toml --extra build --extra flash --constraint requirements-dev.lock
compile requirements-page.lock pyproject.toml --extra build --extra page --constraint requirements-dev.lock
compile requirements.lock pyproject.toml --extra build --constraint requirements-dev.lock
compile requirements-stubs.lock --group stubs

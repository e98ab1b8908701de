#!/bin/sh
# Usage: typings.sh DIRECTORY
# Installs MicroPython's type stubs into DIRECTORY, by requirements-stubs.lock, and adds or puts right what firmware/ uses of asyncio.
set -eu
dest=$1
log=build/pip.log
rm -rf "$dest"
.venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements-stubs.lock --target "$dest" \
    >"$log" 2>&1 || { tail -n 12 "$log" >&2 && echo "typings: pip failed: see the lines above. Is the network up?" >&2 && exit 1; }
cat >>"$dest/stdlib/asyncio/__init__.pyi" <<'END'
from collections.abc import Awaitable as _Awaitable
from typing import TypeVar as _TypeVar

_R = _TypeVar("_R")

async def wait_for_ms(awaitable: _Awaitable[_R], timeout_ms: int) -> _R: ...
END
# Here it takes futures only, so that mypy could tell nothing of a coroutine's answer.
sed -i 's/def wait_for(fut: _FutureLike\[_T\]/def wait_for(fut: Awaitable[_T]/' "$dest/stdlib/asyncio/tasks.pyi"

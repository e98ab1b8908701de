"""Builds the core with sanitizers, and runs pytest again with the sanitizer's runtime loaded first."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "pktfilter"
BUILD = ROOT / "build" / "core"
LIBRARY = BUILD / "libpf.so"
_MARK = "SPEAKEASY_CORE_SANITIZED"

sys.path.insert(0, str(HERE))


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(_MARK) or os.environ.get("SPEAKEASY_CORE_LIBRARY"):
        return  # or: the caller's own build of it (coverage, mutants)
    build = subprocess.run(
        ["make", "--no-print-directory", "-s", f"-j{os.cpu_count()}", "-C", str(HERE), "lib"],
        capture_output=True,
        text=True,
        check=False,
    )
    if build.returncode != 0:
        pytest.exit(f"the packet filter does not build:\n{build.stdout}{build.stderr}", returncode=1)
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    env = dict(os.environ)
    env[_MARK] = "1"
    env["LD_PRELOAD"] = os.path.realpath(runtime.stdout.strip())
    # The interpreter never gives all of its memory back; its leaks are not ours.
    env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *config.invocation_params.args], env)


@pytest.fixture
def pf() -> Iterator["Filter"]:  # noqa: F821
    from core import Filter

    with Filter() as f:
        yield f

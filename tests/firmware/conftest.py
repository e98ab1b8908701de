"""Runs the MicroPython test files of this folder on the SIM board's interpreter.

pytest never imports a `test_*.py` from here: it reads the names of the test functions (`def test_...` or
`async def test_...` at top level) and runs each one in an interpreter of its own, with an empty flash as the current
directory and `firmware/` ahead of the frozen modules, so that an edit needs no rebuild. A file may set `TIME_LIMIT_S`,
a number, at top level.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TOP = HERE.parent.parent
SIM = Path(os.environ.get("SPEAKEASY_SIM", TOP / "build/sim/speakeasy-sim"))
# Ahead of the frozen modules: what is being worked on. `check` and `run_one` are in this folder.
IMPORT_PATH = (
    HERE,
    TOP / "firmware",
    TOP / "boards/SIM/modules",
    TOP / "boards/SIM/ble",
    ".frozen",
)
# Compiling the firmware on the board takes more memory than the frozen firmware needs to run.
HEAP = "1M"
TIME_LIMIT_S = 20.0
PASSED = 42  # exit status, see run_one.py
AT_ONCE = 12


class MicroPythonFailure(Exception):
    """The test did not come to its end; the text is what the interpreter printed."""


class MicroPythonItem(pytest.Item):
    """One test function, run in an interpreter of its own."""

    def __init__(self, *, line: int, limit_s: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.line = line
        self.limit_s = limit_s
        self.done: Future[str] = Future()

    def start(self) -> None:
        """Runs the test now, in a thread of the runner's; `runtest` reports what came of it."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            with tempfile.TemporaryDirectory(prefix="speakeasy-flash-") as flash:
                self.done.set_result(self._run(flash))
        except BaseException as error:  # noqa: BLE001 (runtest raises it)
            self.done.set_exception(error)

    def runtest(self) -> None:
        self.add_report_section("call", "stdout", self.done.result())

    def _run(self, flash: str) -> str:
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "MICROPYPATH": ":".join(str(entry) for entry in IMPORT_PATH),
        }
        command = [
            str(SIM),
            "-X",
            f"heapsize={HEAP}",
            "-m",
            "run_one",
            self.path.stem,
            self.name,
        ]
        process = subprocess.Popen(
            command,
            cwd=flash,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise MicroPythonFailure(
                f"{output.decode(errors='replace')}\nnot finished after {self.limit_s:g} s: ended by force"
            ) from None
        text = output.decode(errors="replace")
        if process.returncode < 0:
            raise MicroPythonFailure(f"{text}\nthe interpreter died of {signal.Signals(-process.returncode).name}")
        if process.returncode != PASSED:
            raise MicroPythonFailure(f"{text}\nexit status {process.returncode}")
        return text

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, MicroPythonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line, self.name


class MicroPythonFile(pytest.File):
    """A test file in MicroPython."""

    def collect(self) -> Iterator[MicroPythonItem]:
        if not SIM.is_file():
            raise self.CollectError(f"{SIM} is missing: build it with 'make test-firmware' (or 'make sim')")
        limit_s = TIME_LIMIT_S
        tree = ast.parse(self.path.read_text(), str(self.path))
        for node in tree.body:
            match node:
                case ast.Assign(
                    targets=[ast.Name(id="TIME_LIMIT_S")],
                    value=ast.Constant(value=(int() | float()) as s),
                ):
                    limit_s = float(s)
        seen: set[str] = set()
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                if node.name in seen:
                    raise self.CollectError(
                        f"{self.path.name}: two functions are named {node.name}: one would never run"
                    )
                seen.add(node.name)
                yield MicroPythonItem.from_parent(self, name=node.name, line=node.lineno - 1, limit_s=limit_s)


class Runner:
    """Runs tests side by side: most of their time they wait. So a test that listens takes a port of its own."""

    def __init__(self, items: list[MicroPythonItem]) -> None:
        self._items = items
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE)

    def pytest_runtestloop(self) -> None:
        for item in self._items:
            self._pool.submit(item.start)

    def pytest_sessionfinish(self) -> None:
        for item in self._items:
            item.done.cancel()  # those that have not begun (pytest -x, Ctrl-C)
        self._pool.shutdown()


def pytest_collection_finish(session: pytest.Session) -> None:
    items = [item for item in session.items if isinstance(item, MicroPythonItem)]
    if items and not session.config.option.collectonly:
        session.config.pluginmanager.register(Runner(items), "micropython-runner")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Takes this folder's test files out of the hands of CPython."""
    return MicroPythonFile.from_parent(parent, path=module_path)  # type: ignore[no-any-return]

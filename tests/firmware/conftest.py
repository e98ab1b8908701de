"""Runs the MicroPython test files of this folder on a board's interpreter: SIM's, or that of `--board=QEMU_RV32`.

pytest never imports a `test_*.py` from here: it reads the names of the test functions (`def test_...` or
`async def test_...` at top level) and runs each one in an interpreter of its own, with an empty flash as the current
directory (interpreters.py). Files called test_sim_* and test_rv32_* are for one board. A file may set `TIME_LIMIT_S`,
a number, at top level. `--fuzz=N` makes test_fuzz.py's run longer.
"""

from __future__ import annotations

import ast
import os
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from interpreters import BOARDS, Rv32, Sim

PASSED = 42  # exit status, see run_one.py
BOARD = pytest.StashKey[Sim | Rv32]()
LAST_LINES = 60  # of a console, in a report
# Below the ephemeral ports. Of each block the first one is the sign that it is taken; a test has the others.
PORTS = range(20_000, 32_000, 16)


class MicroPythonFailure(Exception):
    """The test did not come to its end; the text is what the interpreter printed."""


@contextmanager
def ports() -> Iterator[int]:
    """15 ports in a row that nobody else uses, TCP and UDP: the first of them. Whoever runs these tests on this machine
    beside us sees our sign, and takes others."""
    for sign_port in random.sample(PORTS, len(PORTS)):
        with ExitStack() as stack:
            sign = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                sign.bind(("", sign_port))
                for port in range(sign_port + 1, sign_port + PORTS.step):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        with socket.socket(socket.AF_INET, kind) as there:
                            there.bind(("", port))
            except OSError:
                continue
            yield sign_port + 1
            return
    raise MicroPythonFailure("no port is free on this machine")


def _text(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    left = len(lines) - LAST_LINES
    return "\n".join([f"({left} lines)", *lines[-LAST_LINES:]] if left > 0 else lines)


class MicroPythonItem(pytest.Item):
    """One test function, run in an interpreter of its own."""

    def __init__(self, *, board: Sim | Rv32, line: int, limit_s: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.board = board
        self.environment = board.environment()
        fuzz = self.config.getoption("--fuzz")
        if fuzz is not None:
            self.environment["SPEAKEASY_FUZZ"] = str(fuzz)
        self.line = line
        self.limit_s = max(limit_s, board.least_limit_s)
        self.done: Future[str] = Future()

    def start(self) -> None:
        """Runs the test now, in a thread of the runner's; `runtest` reports what came of it."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            with tempfile.TemporaryDirectory(prefix="speakeasy-flash-") as flash, ports() as port:
                self.done.set_result(self._run(flash, port))
        except BaseException as error:  # noqa: BLE001 (runtest raises it)
            self.done.set_exception(error)

    def runtest(self) -> None:
        self.add_report_section("call", "stdout", self.done.result())

    def _run(self, flash: str, port: int) -> str:
        process = subprocess.Popen(
            self.board.command(self.path.stem, self.name),
            cwd=flash,
            env={**self.environment, "SPEAKEASY_PORT": str(port)},
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
                f"{_text(output)}\nnot finished after {self.limit_s:g} s: ended by force"
            ) from None
        text = _text(output)
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
        board = self.config.stash[BOARD]
        if not board.binary.is_file():
            raise self.CollectError(f"{board.binary} is missing: build it with 'make {board.target}'")
        limit_s = 0.0
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
                item = MicroPythonItem.from_parent(
                    self, board=board, name=node.name, line=node.lineno - 1, limit_s=limit_s
                )
                needs = board.left_out.get(self.path.stem) or board.left_out.get(f"{self.path.stem}::{node.name}")
                if needs is not None:
                    item.add_marker(pytest.mark.skip(reason=f"this board has no module `{needs}`"))
                yield item


class Runner:
    """Runs tests side by side. So each has ports of its own to listen on: 15 from $SPEAKEASY_PORT on."""

    def __init__(self, board: Sim | Rv32, items: list[MicroPythonItem]) -> None:
        self._board = board
        self._items = items
        self._pool = ThreadPoolExecutor(max_workers=board.at_once)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with tempfile.TemporaryDirectory(prefix="speakeasy-tests-") as directory:
            self._board.prepare(Path(directory))
            for item in self._items:
                self._pool.submit(item.start)
            try:
                return (yield)
            finally:
                for item in self._items:
                    item.done.cancel()  # those that have not begun (pytest -x, Ctrl-C)
                self._pool.shutdown()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, metavar="N", help="how many inputs test_fuzz.py tries, on the board SIM")
    parser.addoption("--board", choices=sorted(BOARDS), default="SIM", help="whose interpreter runs tests/firmware")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BOARD] = BOARDS[config.getoption("--board")]()


def pytest_collection_finish(session: pytest.Session) -> None:
    items = [
        item for item in session.items if isinstance(item, MicroPythonItem) and not item.get_closest_marker("skip")
    ]
    if items and not session.config.option.collectonly:
        session.config.pluginmanager.register(Runner(session.config.stash[BOARD], items), "micropython-runner")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Takes this folder's test files out of the hands of CPython."""
    return MicroPythonFile.from_parent(parent, path=module_path)  # type: ignore[no-any-return]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A board's own tests are for that board."""
    others = [board.own_tests for board in BOARDS.values() if not isinstance(config.stash[BOARD], board)]
    return collection_path.name.startswith(tuple(others)) or None

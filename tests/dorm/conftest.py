"""Dorms for the tests: real ones, one a module, each in a run directory of its own.

`pytest --stack=lwip`: the bridge's IP stack is lwIP, by the ESP32's glue, under AddressSanitizer (boards/SIM_LWIP).
"""

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.board import KERNEL, STACKS
from dorm.dorm import PASSTHROUGH, PRIVATE, Dorm
from dorm.people import Controller
from dorm.speaker.machine import SpeakerMachine
from dorm_life import LIMIT_S, claim, find, own, settled

FAULTY = "the bridge's program is faulty: "
_FAULT_STATUS = 4  # of pytest: not 1, after which twice.sh tries once more
# AddressSanitizer's, UndefinedBehaviorSanitizer's and lwIP's own words.
_REPORT = re.compile(r"^.*(?:AddressSanitizer|: runtime error: |Assertion \").*$", re.MULTILINE)
_faults: list[str] = []  # tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack", default=KERNEL, choices=STACKS, help="the bridge's IP stack (default: kernel)")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["SPEAKEASY_STACK"] = config.getoption("--stack")  # for the dorms of subprocesses, too


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """pytest -n: what is tested on one dorm stays together, in its order. A module's two dorms, one for each mode, know
    nothing of each other."""
    from xdist.scheduler import LoadScopeScheduling  # only here: without -n nobody needs it

    class ByDorm(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module, _, test = nodeid.partition("::")
            return module + PRIVATE if PRIVATE in re.split(r"[][-]", test) else module

    return ByDorm(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and FAULTY in report.longreprtext:
        _faults.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _faults and not hasattr(session.config, "workerinput"):
        session.exitstatus = _FAULT_STATUS


@pytest.fixture(scope="module")
def run_dirs(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where run directories go. Their logs are kept in build/log/<module> for whoever looks into a failure."""
    kept = t.REPOSITORY / "build" / "log" / request.path.stem
    # Short: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dorm-") as name:
        yield Path(name)
        faults = []
        for log in Path(name).glob("*/log"):
            dorms = kept / log.parent.name
            shutil.rmtree(dorms, ignore_errors=True)
            shutil.copytree(log, dorms)
            console = dorms / "bridge.log"
            if console.is_file() and (found := _REPORT.search(console.read_text(errors="replace"))):
                faults.append(f"{found[0]}: see {console}")
        if faults:
            pytest.fail(f"{FAULTY}{faults[0]}", pytrace=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_dorm(run_dirs: Path) -> AsyncIterator[Dorm]:
    """A dorm without a bridge: the speaker hangs on the switch by a plain cable, as it would without us."""
    run_dir = run_dirs / "open"
    async with Dorm(run_dir, bridge=False) as dorm:
        switch, speaker = dorm.namespaces[t.SWITCH], dorm.namespaces[t.SPEAKER]
        commands = (
            f"link add cable type veth peer name {t.SEGMENT_RADIO} address {t.MAC[t.SPEAKER]} netns {speaker.path}\n"
            f"link set cable master {t.SWITCH_BRIDGE} up\n"
        )
        await switch.run("ip", "-batch", "-", input=commands)
        dorm.speaker = SpeakerMachine(speaker, run_dir)
        await dorm.speaker.start()
        try:
            await dorm.until(dorm.speaker.state, LIMIT_S, "the speaker's software")
            await dorm.until(lambda: dorm.speaker.lease, LIMIT_S, "the speaker's address")
            yield dorm
        finally:
            await dorm.speaker.stop()


@pytest.fixture(scope="module")
def lan() -> t.Lan:
    """The dorm's network; a module may have another one."""
    return t.DORM_LAN


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[PASSTHROUGH, PRIVATE])
async def dorm(run_dirs: Path, lan: t.Lan, request: pytest.FixtureRequest) -> AsyncIterator[Dorm]:
    """The whole dorm, with the bridge and its real firmware, new from the factory; the speaker has its address.

    One for each addressing mode: all that is tested on it is tested in both.
    """
    async with Dorm(run_dirs / request.param, mode=request.param, lan=lan) as dorm:
        await settled(dorm)
        yield dorm


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owned(dorm: Dorm) -> Dorm:
    """That dorm after the phone has become owner."""
    await own(dorm, t.PHONE)
    return dorm


@pytest_asyncio.fixture(loop_scope="module")
async def soco(owned: Dorm) -> AsyncIterator[Controller]:
    """The phone's controller, let in; it has found the speaker."""
    await settled(owned)
    await claim(owned, t.PHONE)
    async with await owned.person(t.PHONE).controller() as controller:
        await find(owned, controller)
        yield controller
        await controller.call("close")

"""What is left of a dorm after its end, whatever the end was; and what is said when there can be no dorm."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dorm import board, daemon, namespaces, process, programs
from dorm import topology as t
from dorm.dorm import LOCK, Dorm
from dorm.errors import DormError

LIMIT_S = 60.0  # only a bound: the machine may be slow and busy
SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>, Linux 5.14


def wait_for(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"waited {limit_s:g} s for {what}"
        time.sleep(0.02)


def parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return found


def started(pid: int) -> str | None:
    """When a process was started: what tells it from a later one with its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] == "Z" else stat[19]


def descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found, todo = set(), [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def identity(path: str | Path) -> tuple[int, int]:
    """A network namespace's inode, whose number the next one may get, and its cookie, which no other ever gets."""

    def cookie() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)

    namespace = namespaces.Namespace("looked at", os.open(path, os.O_RDONLY))
    try:
        return os.stat(namespace.path).st_ino, namespace.inside(cookie)
    finally:
        namespace.close()


def holders(wanted: set[tuple[int, int]]) -> list[str]:
    """Everything on this machine that keeps one of these network namespaces alive."""
    found = []
    inodes = {inode for inode, _ in wanted}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            links = [entry / "ns" / "net", *(entry / "fd").iterdir()]
        except OSError:
            continue
        for link in links:
            try:
                if not os.readlink(link).startswith("net:[") or os.stat(link).st_ino not in inodes:
                    continue
                if identity(link) in wanted:
                    found.append(str(link))
            except OSError:
                continue
    return found


class Running:
    """A dorm in the foreground of a process of its own, without a bridge unless that is built."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        code = (
            "import sys; from pathlib import Path; from dorm import daemon\n"
            f"sys.exit(daemon.serve(Path({str(run_dir)!r}), bridge={t.SIM_BINARY.exists()}))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=programs.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(self.is_up, "the dorm")
            self.look()
        except BaseException:
            self.process.kill()
            raise

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.process.stdout.read()
        try:  # files alone say nothing: a dorm that was killed has left them
            return bool(daemon.status(self.run_dir))
        except DormError:
            return False

    def look(self) -> None:
        description = json.loads((self.run_dir / "dorm.json").read_text())
        self.pid = description["pid"]
        self.network = {identity(path) for path in description["namespaces"].values()}
        self.family = {pid: started(pid) for pid in descendants(self.process.pid)}
        assert len(self.network) == len(t.NAMESPACES)
        assert len(self.family) >= 2 + 2 + len(t.PEOPLE)  # init, dorm, dnsmasq, internet, a DHCP client each

    def assert_gone(self) -> None:
        self.process.wait(LIMIT_S)
        wait_for(
            lambda: not any(when is not None and started(pid) == when for pid, when in self.family.items()),
            f"the dorm's processes to end: {self.family}",
        )
        wait_for(lambda: not holders(self.network), "the namespaces to end")


@pytest.fixture
def own_run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def running(own_run_dir: Path):
    dorms: list[Running] = []

    def start() -> Running:
        dorms.append(Running(own_run_dir))
        return dorms[-1]

    yield start
    for each in dorms:
        each.process.kill()
        each.process.wait(LIMIT_S)
        each.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_the_dorm_down_in_order(running, own_run_dir: Path, number: signal.Signals) -> None:
    dorm = running()
    dorm.process.send_signal(number)
    dorm.assert_gone()
    assert dorm.process.returncode == 128 + number
    assert sorted(entry.name for entry in own_run_dir.iterdir()) == ["log", LOCK]


def test_kill_9_of_the_starter_leaves_nothing_and_another_dorm_can_come_up(running) -> None:
    dorm = running()
    os.kill(dorm.process.pid, signal.SIGKILL)
    dorm.assert_gone()
    stale = (dorm.run_dir / "dorm.json").read_text()  # nobody was there to remove it
    again = running()  # replaces the stale run directory
    # Not the inodes: the kernel gives those of namespaces that are gone to new ones.
    assert (again.run_dir / "dorm.json").read_text() != stale
    again.process.send_signal(signal.SIGTERM)
    again.assert_gone()


def test_kill_9_of_the_dorm_itself_leaves_nothing(running) -> None:
    dorm = running()
    os.kill(dorm.pid, signal.SIGKILL)
    dorm.assert_gone()
    assert dorm.process.returncode == 128 + signal.SIGKILL


def test_down_from_another_process_leaves_nothing(running, own_run_dir: Path) -> None:
    dorm = running()
    assert set(daemon.status(own_run_dir)["people"]) == set(t.PEOPLE)
    words, env, home = daemon.entry(t.PHONE, own_run_dir)
    inside = subprocess.run([*words, "ip", "-4", "-br", "addr"], env=env, cwd=home, capture_output=True, text=True)
    assert daemon.status(own_run_dir)["people"][t.PHONE] in inside.stdout
    daemon.down(own_run_dir)
    dorm.assert_gone()
    assert dorm.process.returncode == 0
    with pytest.raises(DormError, match="dorm up"):
        daemon.status(own_run_dir)
    with pytest.raises(DormError, match="dorm up"):
        daemon.entry(t.PHONE, own_run_dir)


def test_a_dorm_in_the_background_outlives_its_starter_and_goes_down(own_run_dir: Path) -> None:
    if not t.SIM_BINARY.exists():
        pytest.skip("the bridge is not built")
    starter = subprocess.run(
        [
            sys.executable,
            "-m",
            "speakeasy.cli",
            "dorm",
            "up",
            "--run-dir",
            str(own_run_dir),
            "--mode=private",
            "--json",
        ],
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert starter.returncode == 0, starter.stderr
    up = json.loads(starter.stdout)
    assert up["bridge"]["mode"] == "private"
    assert up["speaker"]["address"] == t.SPEAKER_ALIAS_ADDR
    network = {identity(p) for p in json.loads((own_run_dir / "dorm.json").read_text())["namespaces"].values()}
    press_the_button(own_run_dir)
    daemon.down(own_run_dir)
    wait_for(lambda: not holders(network), "the namespaces to end")


def press_the_button(run_dir: Path) -> None:
    """A short press does what it does; ten seconds, as they are typed, make the bridge as new (SPEC 2.5)."""
    pressed = []
    for words in ([], ["10"]):
        command = [sys.executable, "-m", "speakeasy.cli", "dorm", "press", *words, "--run-dir", str(run_dir), "--json"]
        done = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        pressed.append(json.loads(done.stdout)["reset"])
    assert pressed == [False, True]
    wait_for(lambda: daemon.status(run_dir)["speaker"]["address"] is None, "the speaker to be off the air")
    now = daemon.status(run_dir)
    assert now["bridge"]["boots"] == 2
    assert now["bridge"]["address"] is None, "it knows no network any more"
    assert (now["speaker"]["joined"], now["speaker"]["wifi"]["ssid"]) == (False, t.SEGMENT_WIFI.ssid)


def test_a_second_dorm_is_refused_and_the_first_goes_on(running, own_run_dir: Path) -> None:
    dorm = running()
    with pytest.raises(DormError, match=r"already up.*`speakeasy dorm down`"):
        daemon.up(own_run_dir)
    assert dorm.process.poll() is None
    assert daemon.status(own_run_dir)["people"]


async def test_an_exception_in_the_middle_leaves_nothing(own_run_dir: Path) -> None:
    class Oops(Exception):
        pass

    network: set[tuple[int, int]] = set()
    children: set[int] = set()
    before = descendants(os.getpid())

    async def fail() -> None:
        async with Dorm(own_run_dir, bridge=False) as d:
            network.update(identity(namespace.path) for namespace in d.namespaces.values())
            children.update(descendants(os.getpid()) - before)
            raise Oops

    with pytest.raises(Oops):
        await fail()
    assert len(network) == len(t.NAMESPACES)
    wait_for(lambda: not holders(network), "the namespaces to end")
    assert not children & descendants(os.getpid())


# --- no dorm to be had ----------------------------------------------------------------------------------------------
def one_line(error: pytest.ExceptionInfo[DormError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


async def refused(run_dir: Path) -> str:
    with pytest.raises(DormError) as error:
        await Dorm(run_dir).up()
    return one_line(error)


def test_no_root(own_run_dir: Path) -> None:
    done = subprocess.run(
        # The one capability is for clones below a home directory that only its owner may enter.
        ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
         "--ambient-caps=-all,+dac_read_search", sys.executable, "-c",
         f"import sys; sys.path[:0] = {sys.path!r}; from dorm.__main__ import main; sys.exit(main())",
         "--run-dir", str(own_run_dir), "up"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: {_error(lambda: process.require_root(), uid=1)}\n"
    assert "sudo" in done.stderr


def _error(work: Callable[[], object], uid: int) -> DormError:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DormError) as error:
        patch.setattr(os, "geteuid", lambda: uid)
        work()
    return error.value


@pytest.mark.parametrize("device", ["/dev/net/no-such-device", "/dev/null"])
async def test_no_tun(own_run_dir: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(namespaces, "TUN", Path(device))
    assert "modprobe tun" in await refused(own_run_dir)


async def test_a_program_is_missing(own_run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "_SYSTEM_PATH", str(tmp_path))
    text = await refused(own_run_dir)
    assert "apt-get install" in text
    assert "dnsmasq-base" in text
    assert "udhcpc" in text


async def test_the_bridge_is_not_built(own_run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(board.BINARIES, "bumble", tmp_path / "speakeasy-sim")
    monkeypatch.setattr(t, "SIM_LWIP_BINARY", tmp_path / "speakeasy-sim")
    assert "make" in await refused(own_run_dir)


async def test_what_the_bridge_on_lwip_has_not(own_run_dir: Path) -> None:
    dorm = Dorm(own_run_dir, stack="lwip", ble="nimble")
    with pytest.raises(DormError, match="on lwIP has"):
        await dorm.up()
    with pytest.raises(DormError, match="no IP stack called"):
        await Dorm(own_run_dir, stack="loud").up()


async def test_a_directory_of_somebody_elses_is_left_alone(own_run_dir: Path) -> None:
    own_run_dir.mkdir()
    precious = own_run_dir / "precious"
    precious.write_text("data")
    assert "SPEAKEASY_RUN" in await refused(own_run_dir)
    assert precious.read_text() == "data"


def test_a_directory_of_others_is_left_alone_whatever_is_in_it(tmp_path: Path) -> None:
    """Many programs call a file `lock` (dpkg, apt): that makes no directory a dorm's."""
    for name in ("lock", LOCK + "/x"):
        theirs = tmp_path / name.partition("/")[0].replace(".", "-")
        (theirs / "precious").mkdir(parents=True)
        (theirs / name).parent.mkdir(exist_ok=True)
        (theirs / name).touch()
        before = sorted(theirs.rglob("*"))
        with pytest.raises(DormError, match="not a dorm's"):
            Dorm(theirs)._take_run_dir()
        assert sorted(theirs.rglob("*")) == before


def test_the_run_directory_may_be_relative_but_not_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Dorm("run").run_dir == tmp_path / "run"
    with pytest.raises(DormError, match="too long"):
        Dorm(tmp_path / ("x" * 100))._take_run_dir()

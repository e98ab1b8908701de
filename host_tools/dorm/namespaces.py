"""Network namespaces without names.

A namespace lives as long as a file descriptor of this process is open, so whatever happens to this process, nothing
is left. `ip netns` and mount namespaces are not used: both want `/` to be a mount point, which it is not in a plain
chroot.
"""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from dorm.errors import DormError

_T = TypeVar("_T")
_Stream = int | IO[bytes] | None

TUN = Path("/dev/net/tun")
CLONE_NEWNET = 0x40000000  # <sched.h>
TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
SIOCGIFFLAGS = 0x8913  # <linux/sockios.h>
SIOCSIFFLAGS = 0x8914
SIOCSIFHWADDR = 0x8924
IFF_UP = 0x1
IFNAMSIZ = 16
ARPHRD_ETHER = 1
RUN_S = 30.0  # for one command such as `ip`; only a bound, for machines that are slow and busy
KILLED_S = 1.0  # after SIGKILL: a process ends at once, its output when nobody has it open any more

# Each namespace is one machine with one network to it (or a bridge that must not be a weak host): no IPv6, no answers
# on one interface for the address of another.
_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}

_libc = ctypes.CDLL(None, use_errno=True)


def outer_pid() -> int:
    """This process's id as /proc has it: that of the machine, also inside a PID namespace of our own."""
    return int(os.readlink("/proc/self"))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _in_thread(work: Callable[[], _T]) -> _T:
    """Runs `work` in a thread: a thread has a network namespace of its own, and takes it along as it ends."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=target, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _set_flags(ifname: str, add: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", ifname.encode(), 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, SIOCGIFFLAGS, request), IFNAMSIZ)
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", ifname.encode(), flags | add))


def _make() -> int:
    _check(_libc.unshare(CLONE_NEWNET))
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_flags("lo", IFF_UP)
        for name, value in _SYSCTLS.items():
            _write_sysctl(name, value)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _write_sysctl(name: str, value: str) -> None:
    try:
        with open("/proc/sys/" + name, "w") as file:
            file.write(value)
    except FileNotFoundError:
        if not name.startswith("net/ipv6/"):  # a kernel without IPv6 is as good as one with IPv6 off
            raise DormError(f"/proc/sys/{name} is missing. Mount /proc: `mount -t proc proc /proc`.") from None
    except OSError as error:
        raise DormError(
            f"/proc/sys/{name} cannot be written ({error.strerror}). The dorm needs root and a writable /proc/sys (in "
            "a container: --privileged)."
        ) from None


def no_tun(why: str | None) -> DormError:
    """What to do when TAP devices cannot be had."""
    return DormError(
        f"{TUN} cannot be opened ({(why or 'no reason given').lower()}). Load the driver with `modprobe tun`, or start "
        "the container with `--device /dev/net/tun --cap-add NET_ADMIN`."
    )


class Namespace:
    """One network namespace, held open by a file descriptor of this process.

    Attributes: `name`, for people; `path`, by which any root process on this machine may enter it
    (`nsenter --net=PATH`), also from outside of our PID namespace.
    """

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self._fd = fd
        self.path = f"/proc/{outer_pid()}/fd/{fd}"

    def __repr__(self) -> str:
        return f"<Namespace {self.name} {self.path}>"

    @classmethod
    async def create(cls, name: str) -> "Namespace":
        """A new namespace with `lo` up and IPv6 off. Raises DormError when the kernel does not let us."""
        try:
            return cls(name, _in_thread(_make))
        except PermissionError:
            raise DormError(
                "The dorm needs root to make network namespaces. Run it with sudo (in a container: with --privileged)."
            ) from None
        except OSError as error:
            raise DormError(
                f"No network namespace could be made for {name} ({error.strerror}). A kernel with network namespaces "
                "(CONFIG_NET_NS) is needed."
            ) from None

    def inside(self, work: Callable[[], _T]) -> _T:
        """Calls `work` in this namespace, in a thread of its own: sockets that it opens belong to the namespace."""
        fd = self._fd
        if fd < 0:
            raise DormError(f"The network namespace {self.name} is closed: its dorm is down.")

        def entered() -> _T:
            _check(_libc.setns(fd, CLONE_NEWNET))
            return work()

        return _in_thread(entered)

    def sysctl(self, name: str, value: str) -> None:
        """Sets one variable below /proc/sys, e.g. `net/ipv4/ip_forward`."""
        self.inside(lambda: _write_sysctl(name, value))

    def command(self, *argv: str) -> list[str]:
        """`argv`, to be run in this namespace; it is killed when the thread that started it ends (PDEATHSIG)."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.path}", *argv]

    async def run(
        self, *argv: str, check: bool = True, timeout_s: float = RUN_S, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program here to its end. Raises DormError when it fails (`check`) or takes more than `timeout_s`."""
        return await run_command(
            self.command(*argv), shown=argv, where=self.name, check=check, timeout_s=timeout_s, input=input
        )

    async def spawn(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        stdin: _Stream = None,
        stdout: _Stream = None,
        stderr: _Stream = None,
        pass_fds: Collection[int] = (),
        cwd: str | os.PathLike[str] | None = None,
    ) -> asyncio.subprocess.Process:
        """Starts a program here. It gets SIGKILL when the thread that started it ends.

        Call it from a thread that lives as long as the dorm does: the main one.
        """
        return await start_process(
            *self.command(*argv),
            env=env,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            cwd=cwd,
        )

    def open_tap(self, ifname: str, mac: str | None = None) -> int:
        """A TAP device of this namespace: returns its descriptor (bare frames; blocking; not inherited by children).

        The device goes when the descriptor is closed. `mac` is the address of the network interface, "02:00:...".
        """
        if not 0 < len(ifname.encode()) < IFNAMSIZ:
            raise ValueError(f"interface names have 1 to {IFNAMSIZ - 1} bytes, not {ifname!r}")

        def make() -> int:
            try:
                fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EPERM, errno.EACCES):
                    raise
                raise no_tun(error.strerror) from None
            try:
                fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", ifname.encode(), IFF_TAP | IFF_NO_PI))
                if mac is not None:
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                        address = bytes.fromhex(mac.replace(":", ""))
                        request = struct.pack("16sH14s", ifname.encode(), ARPHRD_ETHER, address)
                        fcntl.ioctl(sock, SIOCSIFHWADDR, request)
            except BaseException as error:
                os.close(fd)
                if isinstance(error, OSError) and error.errno == errno.ENOTTY:  # something else has its name
                    raise no_tun("it is not the TUN/TAP driver") from None
                raise
            return fd

        return self.inside(make)

    async def carrier(self, ifname: str, up: bool) -> None:
        """Plugs (`up`) or unplugs the interface: for a TAP, what association is to a radio."""
        await self.run("ip", "link", "set", "dev", ifname, "carrier", "on" if up else "off")

    def close(self) -> None:
        """Lets go of the namespace; it ends when the last process and the last descriptor in it are gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def start_process(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """asyncio.create_subprocess_exec that may be cancelled: the process is killed then.

    Python's own, up to 3.11 at least, never returns when it is cancelled before it has connected the process's pipes.
    """
    making = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await _kill(await making)
        raise


async def _kill(process: asyncio.subprocess.Process) -> None:
    """SIGKILL. Does not wait for others that have its output open, as Process.wait does."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILLED_S):
            await process.wait()


async def run_command(
    command: Collection[str],
    *,
    shown: Collection[str],
    where: str,
    check: bool,
    timeout_s: float,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs `command` to its end with both outputs captured. `shown` and `where` are for the error's text only."""
    process = await start_process(
        *command,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE if input is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    words = " ".join(shown)
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(None if input is None else input.encode())
    except (TimeoutError, asyncio.CancelledError) as error:
        await _kill(process)
        if isinstance(error, asyncio.CancelledError):
            raise
        raise DormError(f"`{words}` in {where} was not done after {timeout_s:g} s, and was stopped.") from None
    assert process.returncode is not None
    done = subprocess.CompletedProcess(
        list(shown), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise DormError(f"`{words}` in {where} failed with status {done.returncode}: {' / '.join(said) or 'no output'}")
    return done

"""Processes that cannot outlive whoever started them."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from dorm.errors import DormError

CLONE_NEWPID = 0x20000000  # <sched.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
AGAIN_S = 2.0
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


def require_root() -> None:
    """Raises DormError when this process is not root."""
    if os.geteuid() != 0:
        raise DormError(
            "The dorm needs root: it makes network namespaces and TAP devices. Run the same command with sudo."
        )


def contain(work: Callable[[], int], *, die_with_starter: bool = True) -> int:
    """Runs `work` in a process below an init of its own (a new PID namespace), and returns its exit status.

    When `work` ends, everything that it started is killed by the kernel; the same happens when the caller dies in any
    way, `kill -9` included (with `die_with_starter`). SIGINT, SIGTERM and SIGHUP sent to the caller are passed on.
    Call it from the main thread. Raises DormError when not root.
    """
    require_root()
    starter = int(os.readlink("/proc/self"))
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if _libc.unshare(CLONE_NEWPID) != 0:
            raise DormError(
                "No PID namespace could be made. The dorm needs root with all rights (in a container: --privileged)."
            )
        try:
            init = os.fork()
        finally:
            # Only this one child belongs to the new namespace.
            _libc.setns(own, CLONE_NEWPID)
    finally:
        os.close(own)
    if init == 0:
        _as_init(work, starter if die_with_starter else None)
    with _forwarding_to(init):
        _, status = os.waitpid(init, 0)
    return os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def _forwarding_to(pid: int) -> Any:
    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_init(work: Callable[[], int], starter: int | None) -> None:
    """The new namespace's init: reaps orphans, passes signals on, and takes everything along when the worker ends."""
    status = 1
    try:
        if starter is not None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if _outer_ppid() != starter:
                os._exit(1)  # the starter died before prctl could take effect
        worker = os.fork()
        if worker == 0:
            _as_worker(work)
        with _forwarding_to(worker):
            while True:
                pid, raw = os.wait()
                if pid == worker:
                    status = os.waitstatus_to_exitcode(raw)
                    break
        if status < 0:
            status = 128 - status
    finally:
        os._exit(status)


def _as_worker(work: Callable[[], int]) -> None:
    status = 1
    try:
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        status = 130
    except DormError as error:
        print(error, file=sys.stderr)
    except BaseException:  # noqa: BLE001  said here: there is nobody above
        traceback.print_exc()
    finally:
        # One Ctrl-C arrives more than once, and on a busy machine late: not in the middle of the last words.
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _outer_ppid() -> int:
    # os.getppid() says 0 for a parent outside of our namespace; /proc tells the parent as the machine sees it.
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("PPid:"):
                return int(line.split()[1])
    raise DormError("/proc/self/status has no PPid line: /proc must be mounted.")


async def until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """Awaits `work`; SIGINT, SIGTERM and SIGHUP cancel it, so that it cleans up. Returns its status, or 128 + signal.

    One Ctrl-C arrives more than once here, from the terminal and from the starter: what comes at once counts as one,
    and leaves the cleanup undisturbed. Who presses again later is heard again.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    got: list[signal.Signals] = []
    heard = 0.0

    def stop(number: signal.Signals) -> None:
        nonlocal heard
        if not got or loop.time() - heard > AGAIN_S:
            heard = loop.time()
            task.cancel()
        got.append(number)

    for number in _FORWARDED:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not got:
            raise
        return 128 + got[0]
    finally:
        for number in _FORWARDED:
            loop.remove_signal_handler(number)


def run_contained(work: Callable[[], Coroutine[Any, Any, int]], *, die_with_starter: bool = True) -> int:
    """`contain` for a coroutine function, with signals turned into one cancellation. Returns the exit status."""
    return contain(lambda: asyncio.run(until_signalled(work())), die_with_starter=die_with_starter)

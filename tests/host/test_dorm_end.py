"""How a dorm ends. Nothing is started here."""

import asyncio
from pathlib import Path

import pytest
from dorm.dorm import Dorm


async def test_ctrl_c_in_the_middle_waits_until_all_is_down(tmp_path: Path) -> None:
    stopped = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await go_on.wait()
        stopped.append("slow")

    async def other() -> None:
        stopped.append("other")

    dorm = Dorm(tmp_path)
    dorm._undo = [("other", other), ("slow", slow)]
    task = asyncio.create_task(dorm.down())
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == ["slow", "other"]


@pytest.mark.parametrize("times", [1, 2])
async def test_after_ctrl_c_what_is_slow_to_stop_does_not_keep_the_rest_up(times: int, tmp_path: Path) -> None:
    """Python 3.11's asyncio.timeout ends with CancelledError in a task that was cancelled before: that ended it all."""
    stopped = []

    async def slow() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            stopped.append("slow")

    async def other() -> None:
        stopped.append("other")

    async def work() -> None:
        dorm = Dorm(tmp_path)
        dorm._undo = [("other", other), ("slow", slow)]
        try:
            await asyncio.Event().wait()
        finally:
            await dorm.down()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)  # it waits
    for _ in range(times):
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == ["slow", "other"]

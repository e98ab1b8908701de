"""The rung of the SIM board's drivers: each test gets a bench of its own, see sim_bench.py."""

import os
from collections.abc import AsyncIterator

import pytest
from sim_bench import Bench


async def _benched(bench: Bench) -> AsyncIterator[Bench]:
    if os.geteuid() != 0:
        pytest.fail("the drivers are tested in real network namespaces: run this as root (make test-firmware does)")
    try:
        await bench.up()
        yield bench
    finally:
        await bench.down()


@pytest.fixture
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async for bench in _benched(Bench(tmp_path_factory.mktemp("sim"))):
        yield bench


@pytest.fixture
async def wired(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """The same with a board that has an Ethernet socket."""
    async for bench in _benched(Bench(tmp_path_factory.mktemp("sim"), has_ethernet=True)):
        yield bench

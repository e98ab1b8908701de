"""The rung of the SIM board's drivers: each test gets a bench of its own, see sim_bench.py."""

import os
from collections.abc import AsyncIterator

import pytest
from sim_bench import Bench


@pytest.fixture
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    if os.geteuid() != 0:
        pytest.fail("the drivers are tested in real network namespaces: run this as root (make test-firmware does)")
    bench = Bench(tmp_path_factory.mktemp("sim"))
    try:
        await bench.up()
        yield bench
    finally:
        await bench.down()

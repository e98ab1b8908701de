"""machine: pins, interrupts, watchdog, reset; and the board's power, flash and console."""

import asyncio
import json
import os

import pytest
from dorm import topology, wifi
from dorm.errors import DormError
from sim_bench import LIMIT_S, Bench


async def test_the_led_is_seen_from_outside(bench: Bench) -> None:
    await bench.run(
        """
    import machine, time
    led = machine.Pin("LED", machine.Pin.OUT, value=1)
    print("on", led.value())
    for _ in range(3):
        led.off()
        led.on()
    led.toggle()
    print("off", led.value(), machine.Pin(2) is led, led)
    while True: time.sleep_ms(50)
    """
    )
    assert await bench.says("^on (.*)$") == "1"
    assert await bench.says("^off (.*)$") == "0 True Pin(2)"
    assert not bench.air.led
    assert list(bench.air.led_changes) == [1, 0, 1, 0, 1, 0, 1, 0]


async def test_the_button_reads_low_and_interrupts(bench: Bench) -> None:
    await bench.run(
        """
    import machine, time
    button = machine.Pin("BUTTON", machine.Pin.IN, machine.Pin.PULL_UP)
    edges = []
    def edge(pin):
        edges.append(pin.value())
    button.irq(edge, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)
    print("up", button.value())
    # A sleep is interrupted like any other call, and goes on.
    slept = []
    while len(edges) < 2:
        began = time.ticks_ms()
        time.sleep_ms(500)
        slept.append(time.ticks_diff(time.ticks_ms(), began))
    print("slept", edges, min(slept) >= 500)
    """
    )
    assert await bench.says("^up (.*)$") == "1"
    await bench.air.hold_button(0.3)
    assert await bench.says("^slept (.*)$") == "[0, 1] True"


async def test_an_interrupt_wakes_asyncio(bench: Bench) -> None:
    await bench.run(
        """
    import asyncio, machine, time
    flag = asyncio.ThreadSafeFlag()
    async def main():
        machine.Pin("BUTTON", machine.Pin.IN, machine.Pin.PULL_UP).irq(lambda pin: flag.set(), machine.Pin.IRQ_FALLING)
        print("ready")
        await flag.wait()
        print("pressed")
    asyncio.run(main())
    """
    )
    await bench.says("^ready")
    await bench.air.hold_button(0.05)
    await bench.says("^pressed")


async def test_reset_starts_it_again_and_says_why(bench: Bench) -> None:
    await bench.run(
        """
    import machine
    cause = machine.reset_cause()
    print("cause", cause)
    if cause == machine.PWRON_RESET:
        try:
            machine.reset()
        finally:
            print("a chip does not get here")
    if cause == machine.HARD_RESET:
        machine.WDT(timeout=200)
        while True:
            pass
    if cause == machine.WDT_RESET:
        machine.soft_reset()
    print("id", machine.unique_id().hex())
    """
    )
    assert await bench.says("^id (.*)$") == topology.MAC[topology.HOST_UPLINK].replace(":", "")
    causes = [line for line in bench.board.serial().splitlines() if line.startswith("cause")]
    assert causes == ["cause 1", "cause 2", "cause 3", "cause 5"]
    assert bench.board.boots == 4
    assert "does not get here" not in bench.board.serial()
    assert "watchdog: not fed in time" in bench.board.serial()


async def test_a_fed_watchdog_is_quiet_and_one_without_firmware_bites(bench: Bench) -> None:
    await bench.run(
        """
    import machine, time
    print("cause", machine.reset_cause())
    dog = machine.WDT(timeout=2000)
    for _ in range(50):
        time.sleep_ms(50)
        dog.feed()
    print("fed")
    raise ValueError("the firmware breaks")
    """
    )
    await bench.says("^fed")
    await bench.says("^cause 3")
    assert "ValueError: the firmware breaks" in bench.board.serial()
    assert "watchdog bites in 2000 ms" in bench.board.serial()


async def test_a_firmware_that_ends_is_told_at_once(bench: Bench) -> None:
    await bench.run("raise ValueError('the firmware breaks')")
    with pytest.raises(DormError, match=r"(?s)ended \(status 1\).*the firmware breaks"):
        await bench.says("^never")


async def test_power_can_be_cut_at_any_write(bench: Bench) -> None:
    await bench.run(
        """
    n = 0
    with open("counter", "w") as f:
        while True:
            n += 1
            f.seek(0)
            f.write(str(n))
            f.flush()
            if n == 100:
                print("writing")
    """
    )
    await bench.says("^writing")
    await bench.board.power_off()
    assert not bench.board.running
    assert int((bench.board.flash / "counter").read_text()) >= 100
    await bench.board.power_on()
    await bench.board.until(lambda: bench.board.serial().count("writing") == 2, LIMIT_S, "it writes again")


async def test_provisioning_leaves_a_file_for_the_owner_only(bench: Bench) -> None:
    bench.board.provision()
    path = bench.board.flash / "provision.json"
    assert json.loads(path.read_text()) == {
        "uplink": {"ssid": "Dorm", "key": "correct horse"},
        "segment": {"ssid": "Speaker", "key": "only for the speaker"},
    }
    assert path.stat().st_mode & 0o777 == 0o600
    bench.board.erase()
    assert list(bench.board.flash.iterdir()) == []


async def test_the_heap_is_a_chips(bench: Bench) -> None:
    await bench.run(
        """
    import gc
    print("heap", gc.mem_free() + gc.mem_alloc())
    try:
        bytearray(300_000)
    except MemoryError:
        print("too much")
    """
    )
    assert 200_000 < int(await bench.says("^heap (.*)$")) <= 256 * 1024
    await bench.says("^too much")


BAD_BYTES = [
    b"\n",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b"\xff\xfe\x00\n",
    b"{" * 3000 + b"\n",
    b"[" * 4000 + b"\n",
    b'{"op": "nothing", "n": 1}\n',
    b'{"op": ["connect"], "n": 1}\n',
    b'{"op": "connect", "n": 1, "ssid": 5}\n',
    b'{"op": "connect", "n": 1, "ssid": "' + b"x" * 33 + b'"}\n',
    b'{"op": "connect", "n": 1, "hostname": "$(reboot)", "ssid": "Dorm"}\n',
    b'{"op": "station", "n": 1}\n',
    b'{"op": "ap", "n": 1, "active": true, "ssid": "x", "security": 1e400}\n',
    b'{"op": "ap", "n": 1, "active": true, "ssid": "x", "security": 3, "max_clients": 1, "addr": "::1", "mask": "x"}\n',
    b'{"op": "ap", "n": 1, "active": true, "ssid": "", "security": 3, "max_clients": 1, "addr": "1.2.3.4"}\n',
    b'{"op": "static", "n": 1, "addr": "10.0.0.256", "mask": "255.0.0.0", "router": "10.0.0.1"}\n',
    b'{"op": "mac", "n": 1, "interface": "ap", "mac": "01:00:00:00:00:00"}\n',
    b'{"op": "mac", "n": 1, "interface": "lo", "mac": "02:00:00:00:00:00"}\n',
    b'{"op": "pin_init", "n": 1, "pin": -1, "mode": 1, "level": 0}\n',
    b'{"op": "pin", "pin": 1000000, "level": 0}\n',
    b'{"op": "static", "n": 1, "addr": "10.0.0.1", "mask": "0.0.0.255", "router": "10.0.0.1"}\n',
    b'{"op": "connect", "n": 1, "ssid": "\\ud800"}\n',
    b'{"op": "watchdog", "timeout_ms": "soon"}\n',
    b'{"op": "watchdog", "n": 1, "timeout_ms": 1' + b"0" * 400 + b"}\n",
    b"x" * 10_000,
    b"x" * 10_000 + b"\n",
]


async def test_nothing_that_the_board_sends_brings_the_air_down(bench: Bench) -> None:
    path = str(bench.board.air_directory / "wifi.sock")
    for bad in [*BAD_BYTES, os.urandom(3000), os.urandom(3000) + b"\n"]:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(bad)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), LIMIT_S)
        writer.close()
        if b'"n": 1' in bad:
            assert b'"error": ' in answer, bad
    assert bench.air.station == wifi.Station()
    # It still serves a board that talks sense.
    await bench.run("import machine; print('cause', machine.reset_cause())")
    await bench.says("^cause 1")


async def test_a_missing_binary_is_said(bench: Bench) -> None:
    from dorm.board import Board

    board = Board(bench.namespaces, bench.run_dir / "other", binary=bench.run_dir / "nothing")
    with pytest.raises(DormError, match="is not built"):
        await board.start()


async def test_leaving_by_system_exit_starts_again_as_on_a_chip(bench: Bench) -> None:
    await bench.run(
        """
    import machine, sys
    print("cause", machine.reset_cause())
    if machine.reset_cause() == machine.PWRON_RESET:
        sys.exit(1)
    print("here")
    """
    )
    await bench.says("^here")
    assert "cause 5" in bench.board.serial()


async def test_power_can_be_cut_in_the_middle_of_resets(bench: Bench) -> None:
    await bench.run("import machine; machine.reset()")
    for turn in range(15):
        boots = bench.board.boots
        await bench.board.until(lambda boots=boots: bench.board.boots > boots, LIMIT_S, "the next boot")
        await asyncio.sleep(turn * 0.01)  # the cut hits another moment each time
        await asyncio.wait_for(bench.board.power_off(), LIMIT_S)
        assert not bench.board.running
        boots = bench.board.boots
        await bench.board.power_on()
        assert bench.board.boots == boots + 1


async def test_a_board_that_only_resets_is_left_off(bench: Bench) -> None:
    await bench.run("import machine; machine.reset()")
    with pytest.raises(DormError, match="resets in a row"):
        await bench.says("^never")

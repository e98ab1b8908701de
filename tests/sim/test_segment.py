"""network.WLAN(IF_AP): the access point of the speaker; as on MicroPython's ESP32 port."""

import asyncio

from dorm import topology
from sim_bench import LIMIT_S, Bench

AP = """
    import network, time
    ap = network.WLAN(network.WLAN.IF_AP)
    def wait(count):
        while len(ap.status("stations")) != count:
            time.sleep_ms(20)
        return ap.status("stations")
"""
UP = """
    ap.active(True)
    ap.config(ssid="Speaker", key="only for the speaker", security=network.WLAN.SEC_WPA2_WPA3, max_clients=1)
    ap.ipconfig(addr4=("192.168.77.1", "255.255.255.0"))
"""
STAY = """
    while True:
        time.sleep_ms(50)
"""


async def carrier(bench: Bench) -> bool:
    link = await bench.namespaces[topology.SPEAKER].run("ip", "-o", "link", "show", "dev", "wlan0")
    return "NO-CARRIER" not in link.stdout


async def test_the_speaker_joins_the_network_that_it_knows(bench: Bench) -> None:
    await bench.run(AP + UP + "    print('stations', wait(1), ap.isconnected(), ap.ipconfig('addr4'))" + STAY)
    mac = r"b'\x02\x00\x00\x00B '"
    assert await bench.says(r"^stations (.*)$") == f"[({mac},)] True ('192.168.77.1', '255.255.255.0')"
    assert await carrier(bench)
    shown = await bench.namespaces[topology.BRIDGE].run("ip", "-4", "-o", "address", "show", "dev", "segment")
    assert " 192.168.77.1/24 " in shown.stdout
    await bench.board.power_off()
    assert not await carrier(bench)


async def test_it_stays_away_from_any_other(bench: Bench) -> None:
    await bench.run(
        AP
        + """
    ap.active(True)
    for name, settings in (
        ("open", dict(ssid="Speaker", key="only for the speaker")),
        ("key", dict(key="only for a stranger", security=network.WLAN.SEC_WPA2)),
        ("name", dict(ssid="Speakers", key="only for the speaker")),
    ):
        ap.config(**settings)
        time.sleep_ms(600)
        print(name, ap.status("stations"))
    ap.config(ssid="Speaker")
    print("right", len(wait(1)))
    """
        + STAY
    )
    # As on the chip: a key alone does not close the network.
    assert await bench.says(r"^open (.*)$") == "[]"
    assert await bench.says(r"^key (.*)$") == "[]"
    assert await bench.says(r"^name (.*)$") == "[]"
    assert await bench.says(r"^right (.*)$") == "1"


async def test_there_is_room_for_one_station(bench: Bench) -> None:
    await bench.run(AP + UP + "    print('in', len(wait(1)))\n    print('two', len(wait(2)))" + STAY)
    await bench.says("^in 1")
    assert not bench.air.join_segment("02:00:00:00:42:99", "only for the speaker")
    await bench.air.roam_speaker(False)
    assert not bench.air.join_segment("02:00:00:00:42:99", "guessed")
    assert bench.air.join_segment("02:00:00:00:42:99", "only for the speaker")
    assert bench.air.stations == ["02:00:00:00:42:99"]
    await bench.air.roam_speaker(True)
    await bench.air.wait(lambda: bench.air.stations == [topology.MAC[topology.SPEAKER]], LIMIT_S, "the speaker is back")
    assert "two" not in bench.board.serial()


async def test_the_speaker_comes_once_whoever_restarts_the_network_meanwhile(bench: Bench) -> None:
    await bench.run(AP + UP.replace("max_clients=1", "max_clients=2") + STAY)
    await bench.air.wait(lambda: bench.air.ap.max_clients == 2, LIMIT_S, "room for two")
    await asyncio.gather(*(bench.air.roam_speaker(True) for _ in range(3)))

    def coming() -> bool:
        return any(getattr(task.get_coro(), "__name__", "") == "_join_speaker" for task in asyncio.all_tasks())

    await bench.air.wait(lambda: not coming(), LIMIT_S, "the speaker to be there")
    assert bench.air.stations == [topology.MAC[topology.SPEAKER]]


async def test_one_station_is_thrown_out_and_no_other(bench: Bench) -> None:
    await bench.run(
        AP
        + UP
        + """
    import pktfilter
    ap.config(max_clients=2)
    wait(2)
    print("two")
    pktfilter.deauth(b"\\x02\\0\\0\\0\\x42\\x98")
    pktfilter.deauth(b"\\x02\\0\\0\\0\\x42\\x99")
    print("left", wait(1))
    pktfilter.deauth(b"\\x02\\0\\0\\0\\x42\\x20")
    """
        + STAY
    )
    air = bench.air
    await air.wait(lambda: air.stations == [topology.MAC[topology.SPEAKER]], LIMIT_S, "the speaker")
    assert air.join_segment("02:00:00:00:42:99", "only for the speaker")
    await bench.says("^two")
    assert "B '" in await bench.says(r"^left (.*)$")
    assert air.stations == [topology.MAC[topology.SPEAKER]]
    while await carrier(bench):
        pass
    while not await carrier(bench):
        pass
    assert air.stations == [topology.MAC[topology.SPEAKER]]


async def test_who_is_thrown_out_makes_room_for_the_speaker(bench: Bench) -> None:
    await bench.air.roam_speaker(False)
    await bench.run(
        AP
        + UP
        + """
    import pktfilter
    print("open")
    print("there", wait(1))
    while ap.status("stations")[0][0][5] == 0x99:
        pktfilter.deauth(b"\\x02\\0\\0\\0\\x42\\x99")
        time.sleep_ms(100)
        wait(1)
    print("then", wait(1))
    """
        + STAY
    )
    air = bench.air
    await bench.says("^open")
    assert air.join_segment("02:00:00:00:42:99", "only for the speaker")
    air.speaker_present = True
    assert "x99" in await bench.says(r"^there (.*)$")
    assert "B '" in await bench.says(r"^then (.*)$")


async def test_wrong_settings_are_refused_and_not_kept(bench: Bench) -> None:
    await bench.run(
        AP
        + """
    def refused(**settings):
        try:
            ap.config(**settings)
            print("refused nothing", settings)
        except (OSError, ValueError) as error:
            print("refused", error)
    refused(ssid="Speaker", key="only for the speaker", security=3)
    ap.active(True)
    print("starts", ap.config("ssid"), ap.config("security"), ap.config("max_clients"))
    refused(key="1234567", security=3)
    refused(ssid="")
    refused(colour="red")
    refused(reconnects=3)
    print("still", ap.config("ssid"), ap.config("security"))
    """
    )
    await bench.says("^still")
    lines = [line for line in bench.board.serial().splitlines() if line.startswith(("refused", "starts", "still"))]
    assert lines == [
        "refused Wifi Invalid Mode",
        "starts ESP_004211 0 4",
        "refused Wifi Invalid Password",
        "refused Wifi SSID Invalid",
        "refused unknown config param",
        "refused STA required",
        "still ESP_004211 0",
    ]

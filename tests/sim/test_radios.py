"""The firmware's own uplink and segment on the board's drivers: what the operations ask of them while they run."""

from dorm import topology, wifi
from sim_bench import LIMIT_S, Bench

UPLINK = """
    import asyncio, network
    from speakeasy import uplink
    from speakeasy.files import Files
    from speakeasy.settings import Settings
    settings = Settings(Files(), b"12345678")
    sta = network.WLAN(network.WLAN.IF_STA)
    told = []
    up = uplink.Uplink(sta, settings, lambda *what: told.append(what), lambda: None)
    async def until(what):
        while not what():
            await asyncio.sleep_ms(20)
    def scanned():
        try:
            return sorted([(found["ssid"], found["security"]) for found in up.scan()])
        except uplink.Busy:
            return "busy"
"""
SEGMENT = """
    import asyncio, network
    from speakeasy.files import Files
    from speakeasy.policy import Policy
    from speakeasy.segment import Segment
    from speakeasy.settings import Settings
    settings = Settings(Files(), b"12345678")
    ap = network.WLAN(network.WLAN.IF_AP)
    policy = Policy(bytes(6), bytes(6), lambda: None)
    policy.asked = [bytes((2, 0, 0, 0, 0x42, 0x20))]  # the speaker: nobody serves its DHCP here
    segment = Segment(ap, settings, policy, lambda: None)
    async def until(what):
        while not what():
            await asyncio.sleep_ms(20)
"""


async def test_scan_before_while_and_after_joining(bench: Bench) -> None:
    bench.air.networks.append(wifi.AccessPoint("eduroam", "x", rssi=-60, auth=wifi.AUTH_WPA2_ENTERPRISE))
    await bench.run(
        UPLINK
        + """
    async def main():
        asyncio.create_task(up.run())
        await until(sta.active)
        print("before", scanned())
        up.join("Dorm", "correct horse")
        up._seen_at -= uplink.SCAN_KEPT_S
        print("joining", scanned())
        await until(lambda: up.state == "up")
        await until(lambda: told[-1][0] == up.addr)
        told.clear()
        print("up", scanned(), up.state, sta.isconnected(), len(told))
        for _ in range(3):
            up._seen_at -= uplink.SCAN_REST_S
            scanned()
            await asyncio.sleep_ms(300)
        print("still", up.state, sta.isconnected(), len(told))
    asyncio.run(main())
    """
    )
    both = "[('Dorm', 'psk'), ('eduroam', 'enterprise')]"
    assert await bench.says(r"^before (.*)$") == both
    assert await bench.says(r"^joining (.*)$") == "busy"
    assert await bench.says(r"^up (.*)$") == f"{both} up True 0"
    assert await bench.says(r"^still (.*)$") == "up True 0"


async def test_who_waits_for_a_scan_gets_one_between_two_attempts(bench: Bench) -> None:
    await bench.run(
        UPLINK
        + """
    async def main():
        settings.remember_network("Elsewhere", "correct horse")
        asyncio.create_task(up.run())
        await until(lambda: up.state == "joining")
        answers = [scanned()]
        while answers[-1] == "busy":
            await asyncio.sleep_ms(1000)
            answers.append(scanned())
        print("answers", answers[0], answers[-1])
    asyncio.run(main())
    """
    )
    assert await bench.says(r"^answers (.*)$") == "busy [('Dorm', 'psk')]"


async def test_networks_are_ordered_and_forgotten_while_it_runs(bench: Bench) -> None:
    bench.air.networks.append(wifi.AccessPoint("Cafe", "", rssi=-70))
    await bench.run(
        UPLINK
        + """
    async def main():
        settings.remember_network("Cafe", "")
        settings.remember_network("Dorm", "correct horse")
        asyncio.create_task(up.run())
        await until(lambda: told)
        print("first", up.ssid)
        settings.order_networks(["Cafe", "Dorm"])
        await asyncio.sleep_ms(1000)
        print("ordered", up.ssid, sta.isconnected(), len(told))
        up.forget("Cafe")
        await asyncio.sleep_ms(1000)
        print("forgot another", up.ssid, sta.isconnected(), len(told))
        settings.remember_network("Cafe", "")
        up.forget("Dorm")
        await until(lambda: up.state == "up")
        print("forgot this", up.ssid, sta.config("ssid"), settings.uplinks)
        up.forget("Cafe")
        await until(lambda: told[-1][0] == bytes(4))
        await until(lambda: not sta.isconnected())
        print("forgot all", up.state, repr(up.ssid), settings.uplinks)
    asyncio.run(main())
    """
    )
    assert await bench.says(r"^first (.*)$") == "Dorm"
    assert await bench.says(r"^ordered (.*)$") == "Dorm True 1"
    assert await bench.says(r"^forgot another (.*)$") == "Dorm True 1"
    assert await bench.says(r"^forgot this (.*)$") == "Cafe Cafe [{'ssid': 'Cafe', 'key': ''}]"
    assert await bench.says(r"^forgot all (.*)$") == "off '' []"


async def test_the_speakers_network_takes_another_name_and_key_at_once(bench: Bench) -> None:
    await bench.run(
        SEGMENT
        + """
    import time
    async def main():
        asyncio.create_task(segment.run())
        await until(lambda: segment.state == "up")
        began = time.ticks_ms()
        settings.change(segment={"ssid": "Speaker", "key": "only for the speaker"})
        await until(lambda: ap.config("ssid") == "Speaker")
        print("took", time.ticks_diff(time.ticks_ms(), began) < 1000)
        await until(lambda: segment.present)
        print("there")
        settings.change(segment={"ssid": "Speaker", "key": "another horse"})
        await until(lambda: not segment.present)
        print("gone")
        await until(lambda: segment.present)
        print("back")
    asyncio.run(main())
    """
    )
    assert await bench.says(r"^took (.*)$") == "True"
    await bench.says("^there")
    await bench.says("^gone")
    assert (bench.air.ap.max_clients, bench.air.ap.security) == (1, 7)
    assert not bench.air.join_segment("02:00:00:00:42:99", "only for the speaker")
    await bench.air.teach_speaker(topology.Wifi("Speaker", "another horse"))
    await bench.says("^back", LIMIT_S)

"""network.LAN: the board's Ethernet socket; as on MicroPython's ESP32 port."""

from dorm import ethernet, topology
from sim_bench import LIMIT_S, Bench

LAN = """
    import board, network, time
    def wait(check):
        while not check():
            time.sleep_ms(20)
"""
PLUG = "    lan = network.LAN(**board.ETHERNET)\n"
STAY = """
    while True:
        time.sleep_ms(50)
"""
MAC = r"b'\x02\x00\x00\x00B\x12'"


async def lines(bench: Bench, *words: str) -> list[str]:
    await bench.says("^done")
    return [line for line in bench.board.serial().splitlines() if line.startswith(words)]


async def test_a_board_without_a_socket(bench: Bench) -> None:
    await bench.run(
        LAN
        + """
    print("board", board.ETHERNET)
    try:
        network.LAN(mdc=23, mdio=18, phy_addr=0, phy_type=network.PHY_LAN8720)
    except OSError as error:
        print("refused", error)
    print("done")
    """
    )
    assert await lines(bench, "board", "refused") == ["board None", "refused esp_eth_driver_install failed"]


async def test_arguments(wired: Bench) -> None:
    await wired.run(
        LAN
        + """
    good = {"mdc": 23, "mdio": 18, "phy_addr": 0, "phy_type": network.PHY_LAN8720}
    for wrong in ({"id": 1}, {"phy_addr": 32}, {"phy_addr": -1}, {"phy_type": 7}, {"mdc": None}, {"speed": 10}):
        arguments = dict(good)
        arguments.update(wrong)
        try:
            network.LAN(**arguments)
            print("took", wrong)
        except (ValueError, TypeError) as error:
            print("refused", type(error).__name__)
    lan = network.LAN(**good)
    print("one", lan is network.LAN(**good), lan.active(), lan.status(), lan.isconnected())
    print("config", lan.config("mac"), lan.config("ifname"))
    for wrong in (lambda: lan.config("ssid"), lambda: lan.ipconfig("dns"), lambda: lan.config(mac=b"12345"),
                  lambda: lan.config(mac=b"\\1" * 6)):
        try:
            wrong()
            print("took it")
        except (ValueError, OSError) as error:
            print("no", error)
    print("done")
    """
    )
    assert await lines(wired, "refused", "took", "one", "config", "no") == [
        *["refused ValueError"] * 5,
        "refused TypeError",
        "one True False 0 False",
        f"config {MAC} None",
        "no unknown config param",
        "no unexpected key",
        "no invalid buffer length",
        "no failed setting MAC address",
    ]


async def test_the_uplink_on_the_cable_gets_an_address_and_loses_it_with_the_link(wired: Bench) -> None:
    await wired.run(
        LAN
        + PLUG
        + """
    lan.active(True)
    print("begins", lan.status() in (network.ETH_STARTED, network.ETH_CONNECTED), lan.ipconfig("addr4"))
    wait(lan.isconnected)
    print("has", lan.status(), lan.ipconfig("gw4"), network.ipconfig("dns"), lan.ipconfig("dhcp4"))
    print("addr", lan.ipconfig("addr4")[0])
    wait(lambda: not lan.isconnected())
    print("lost", lan.status(), lan.ipconfig("addr4"))
    wait(lan.isconnected)
    print("again", lan.ipconfig("addr4")[0])
    lan.active(False)
    print("stopped", lan.status(), lan.active(), lan.ipconfig("addr4")[0])
    print("done")
    """
    )
    address = await wired.says("^addr (.*)$")
    shown = await wired.namespaces[topology.BRIDGE].run("ip", "-o", "link", "show", "dev", "uplink")
    assert topology.MAC[topology.ETHERNET] in shown.stdout
    assert wired.air.address.addr == address
    wired.air.plug.plug(False)
    await wired.says("^lost")
    wired.air.plug.plug(True)
    none = "('0.0.0.0', '0.0.0.0')"
    assert await lines(wired, "begins", "has", "addr", "lost", "again", "stopped") == [
        f"begins True {none}",
        "has 5 10.66.0.1 10.66.0.1 True",
        f"addr {address}",
        f"lost 4 {none}",
        f"again {address}",
        "stopped 2 False 0.0.0.0",
    ]


async def carrier(bench: Bench) -> bool:
    link = await bench.namespaces[topology.SPEAKER].run("ip", "-o", "link", "show", "dev", "wlan0")
    return "NO-CARRIER" not in link.stdout


async def test_the_segment_on_the_cable_has_the_address_that_it_is_given(wired: Bench) -> None:
    await wired.run(
        LAN
        + PLUG
        + """
    station = network.WLAN(network.WLAN.IF_STA)
    lan.ipconfig(addr4=("192.168.77.1", "255.255.255.0"))
    lan.active(True)
    wait(lan.isconnected)
    print("has", lan.ipconfig("addr4"), lan.ipconfig("dhcp4"))
    station.active(True)
    station.connect("Dorm", "correct horse")
    wait(station.isconnected)
    # A habit of MicroPython's: it takes the station's event for one of Ethernet's.
    wait(lambda: lan.status() == network.ETH_STARTED)
    print("quirk", lan.isconnected(), lan.ipconfig("addr4")[0], station.ipconfig("addr4")[0] != "0.0.0.0")
    # And one of ESP-IDF's: with an address given by hand the name servers go that the other interface has learnt.
    before = network.ipconfig("dns")
    lan.ipconfig(addr4=("192.168.77.1", "255.255.255.0"))
    none = network.ipconfig("dns")
    network.ipconfig(dns=before)
    print("names", before, none, network.ipconfig("dns"))
    """
        + STAY
    )
    assert await wired.says("^has (.*)$") == "('192.168.77.1', '255.255.255.0') False"
    assert await wired.says("^quirk (.*)$") == "False 192.168.77.1 True"
    assert await wired.says("^names (.*)$") == "10.66.0.1 0.0.0.0 10.66.0.1"
    assert await carrier(wired)
    shown = await wired.namespaces[topology.BRIDGE].run("ip", "-4", "-o", "address", "show", "dev", "segment")
    assert " 192.168.77.1/24 " in shown.stdout
    await wired.air.roam_speaker(False)  # it is switched off
    await wired.air.wait(lambda: wired.air.plug.status == ethernet.DISCONNECTED, LIMIT_S, "the link is gone")
    assert not await carrier(wired)
    await wired.air.roam_speaker(True)
    await wired.air.wait(lambda: wired.air.plug.status == ethernet.GOT_IP, LIMIT_S, "the link is back")
    assert await carrier(wired)
    await wired.board.power_off()
    assert not await carrier(wired)
    shown = await wired.namespaces[topology.BRIDGE].run("ip", "-o", "link", "show", "dev", "segment")
    assert topology.MAC[topology.HOST_SEGMENT] in shown.stdout

"""network.WLAN(IF_STA): joining, losing, addresses; as on MicroPython's ESP32 port."""

import signal

from dorm import topology, wifi
from sim_bench import LIMIT_S, Bench

JOIN = """
    import network, time
    sta = network.WLAN(network.WLAN.IF_STA)
    sta.active(True)
    def wait(*wanted):
        while sta.status() not in wanted:
            time.sleep_ms(20)
        return sta.status()
"""


async def test_joins_with_the_right_key_and_gets_an_address_by_dhcp(bench: Bench) -> None:
    await bench.run(
        JOIN
        + """
    print("before", sta.status(), sta.isconnected(), sta.ipconfig("addr4"))
    sta.connect("Dorm", "correct horse")
    print("asked", sta.status())
    wait(1010)
    print("addr4", *sta.ipconfig("addr4"), sta.ipconfig("gw4"), network.ipconfig("dns"))
    print("ifconfig", *sta.ifconfig())
    print("rssi", sta.status("rssi"), sta.isconnected(), sta.config("ssid"), sta.config("mac").hex())
    """
    )
    assert await bench.says(r"^before (.*)$") == "1000 False ('0.0.0.0', '0.0.0.0')"
    assert await bench.says(r"^asked (.*)$") == "1001"
    addr, mask, router, dns = (await bench.says(r"^addr4 (.*)$")).split()
    assert addr.startswith("10.66.")
    assert (mask, router, dns) == ("255.255.252.0", "10.66.0.1", "10.66.0.1")
    assert (await bench.says(r"^ifconfig (.*)$")).split() == [addr, mask, router, dns]
    assert await bench.says(r"^rssi (.*)$") == "-52 True Dorm 020000004210"
    shown = await bench.namespaces[topology.BRIDGE].run("ip", "-4", "-o", "address", "show", "dev", "uplink")
    # The board has ended by now, or is about to: its address may be gone, but never another one.
    assert f" {addr}/22 " in shown.stdout or not shown.stdout


async def test_wrong_key_and_unknown_network_have_the_chips_status(bench: Bench) -> None:
    await bench.run(
        JOIN
        + """
    sta.connect("Dorm", "wrong horse")
    print("key", wait(202) == network.STAT_WRONG_PASSWORD, sta.isconnected())
    try:
        sta.connect("Dorm", "correct horse")
    except OSError as error:
        print("again", error)
    sta.disconnect()
    print("idle", wait(1000))
    sta.connect("Nowhere", "whatever!")
    print("name", wait(201) == network.STAT_NO_AP_FOUND)
    try:
        sta.status("rssi")
    except OSError as error:
        print("rssi", error)
    sta.disconnect()
    sta.connect("Dorm", "correct horse")
    print("then", wait(1010))
    """
    )
    assert await bench.says(r"^key (.*)$") == "True False"
    # The chip goes on trying by itself, and takes no other configuration meanwhile.
    assert await bench.says(r"^again (.*)$") == "Wifi Internal State Error"
    assert await bench.says(r"^idle (.*)$") == "1000"
    assert await bench.says(r"^name (.*)$") == "True"
    assert await bench.says(r"^rssi (.*)$") == "Wifi Not Connected"
    assert await bench.says(r"^then (.*)$") == "1010"


async def test_a_lost_network_is_noticed_and_joined_again(bench: Bench) -> None:
    await bench.run(
        JOIN
        + """
    sta.connect("Dorm", "correct horse")
    wait(1010)
    print("joined")
    while sta.isconnected():
        time.sleep_ms(20)
    print("lost", *sta.ipconfig("addr4"))
    wait(1010)
    print("back", *sta.ipconfig("addr4"))
    while True: time.sleep_ms(50)
    """
    )
    await bench.says("^joined")
    await bench.air.drop_network()
    assert await bench.says(r"^lost (.*)$") == "0.0.0.0 0.0.0.0"
    await bench.air.wait(lambda: bench.air.station.reason == wifi.REASON_NO_AP_FOUND, LIMIT_S, "the chip looks in vain")
    await bench.air.raise_network()
    assert (await bench.says(r"^back (.*)$")).startswith("10.66.")


async def test_a_changed_key_throws_the_station_out(bench: Bench) -> None:
    await bench.run(
        JOIN
        + """
    sta.connect("Dorm", "correct horse")
    wait(1010)
    print("joined")
    print("out", wait(202))
    """
    )
    await bench.says("^joined")
    await bench.air.change_network(key="another horse")
    assert await bench.says(r"^out (.*)$") == "202"


async def test_a_silent_dhcp_server_leaves_it_connecting_but_associated(bench: Bench) -> None:
    bench.dhcp.send_signal(signal.SIGSTOP)
    await bench.run(
        JOIN
        + """
    sta.connect("Dorm", "correct horse")
    while True:
        try:
            sta.status("rssi")
            break
        except OSError:
            time.sleep_ms(20)
    print("associated", sta.status(), sta.isconnected())
    print("then", wait(1010))
    """
    )
    assert await bench.says(r"^associated (.*)$") == "1001 False"
    bench.dhcp.send_signal(signal.SIGCONT)
    assert await bench.says(r"^then (.*)$") == "1010"


async def test_scan_gives_the_chips_tuples(bench: Bench) -> None:
    bench.air.networks.append(wifi.AccessPoint("Café", "", bssid="02:00:00:00:42:a1", channel=11, rssi=-80))
    await bench.run(JOIN + "\n    for found in sta.scan(): print('found', found)\n    print('done')")
    await bench.says("^done")
    lines = [line for line in bench.board.serial().splitlines() if line.startswith("found")]
    assert lines == [
        r"found (b'Dorm', b'\x02\x00\x00\x00B\xa0', 6, -52, 3, False)",
        r"found (b'Caf\xc3\xa9', b'\x02\x00\x00\x00B\xa1', 11, -80, 0, False)",
    ]


async def test_what_needs_an_active_station_says_so(bench: Bench) -> None:
    await bench.run(
        """
    import network
    sta = network.WLAN(network.WLAN.IF_STA)
    for what in (lambda: sta.connect("Dorm", "x"), sta.disconnect, sta.scan, lambda: sta.status("stations")):
        try:
            what()
        except OSError as error:
            print("says", error)
    print("one", sta is network.WLAN(), network.WLAN(network.AP_IF) is sta)
    print("done")
    """
    )
    await bench.says("^done")
    lines = [line for line in bench.board.serial().splitlines() if line.startswith("says")]
    assert lines == ["says Wifi Not Started", "says Wifi Not Started", "says STA must be active", "says AP required"]
    assert await bench.says("^one (.*)$") == "True False"


async def test_names_are_looked_up_with_the_leases_servers(bench: Bench) -> None:
    await bench.run(
        JOIN
        + """
    import socket
    sta.connect("Dorm", "correct horse")
    wait(1010)
    print("found", socket.getaddrinfo("radio.test", 80)[0])
    try:
        socket.getaddrinfo("nowhere.test", 80)
    except OSError as error:
        print("not", error.errno)
    """
    )
    assert await bench.says(r"^found (.*)$") == "(2, 1, 0, 'radio.test', ('203.0.113.10', 80))"
    assert int(await bench.says(r"^not (.*)$")) < 0

"""network.WLAN(IF_STA): joining, losing, addresses; as on MicroPython's ESP32 port."""

import signal

import pytest
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
    # (ssid, bssid, channel, rssi, authmode, hidden), as ports/esp32/network_wlan.c makes them: hidden networks are
    # listed, with an empty name and False; authmode is ESP-IDF's wifi_auth_mode_t.
    bench.air.networks += [
        wifi.AccessPoint("Café", "", bssid="02:00:00:00:42:a1", channel=11, rssi=-80),
        wifi.AccessPoint("eduroam", "x", bssid="02:00:00:00:42:a2", rssi=-30, auth=wifi.AUTH_WPA2_ENTERPRISE),
        wifi.AccessPoint("Secret", "x" * 8, bssid="02:00:00:00:42:a3", rssi=-81, hidden=True, auth=wifi.AUTH_WPA3),
        wifi.AccessPoint("?", "", bssid="02:00:00:00:42:a4", rssi=-82, raw=b"\xff\xfe"),
        wifi.AccessPoint("Off", "", bssid="02:00:00:00:42:a5", up=False),
    ]
    await bench.run(JOIN + "\n    for found in sta.scan(): print('found', found)\n    print('done')")
    await bench.says("^done")
    lines = [line for line in bench.board.serial().splitlines() if line.startswith("found")]
    assert lines == [
        r"found (b'eduroam', b'\x02\x00\x00\x00B\xa2', 6, -30, 5, False)",
        r"found (b'Dorm', b'\x02\x00\x00\x00B\xa0', 6, -52, 3, False)",
        r"found (b'Caf\xc3\xa9', b'\x02\x00\x00\x00B\xa1', 11, -80, 0, False)",
        r"found (b'', b'\x02\x00\x00\x00B\xa3', 6, -81, 6, False)",
        r"found (b'\xff\xfe', b'\x02\x00\x00\x00B\xa4', 6, -82, 0, False)",
    ]


async def test_a_scan_finds_nothing_while_the_chip_connects(bench: Bench) -> None:
    # esp_wifi_scan_start fails then, and MicroPython answers with an empty list.
    await bench.run(
        JOIN
        + """
    sta.connect("Nowhere", "whatever!")
    print("joining", sta.scan())
    wait(201)
    print("again", sta.scan())  # it goes on trying by itself
    sta.disconnect()
    print("idle", len(sta.scan()))
    sta.config(reconnects=0)
    sta.connect("Nowhere", "whatever!")
    wait(201)
    print("given up", len(sta.scan()))
    sta.connect("Dorm", "correct horse")
    wait(1010)
    print("joined", len(sta.scan()), sta.isconnected(), sta.status())
    """
    )
    assert await bench.says(r"^joining (.*)$") == "[]"
    assert await bench.says(r"^again (.*)$") == "[]"
    assert await bench.says(r"^idle (.*)$") == "1"
    assert await bench.says(r"^given up (.*)$") == "1"
    assert await bench.says(r"^joined (.*)$") == "1 True 1010"


async def test_a_scan_ends_when_the_chip_begins_to_connect(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wifi, "SCAN_S", LIMIT_S)
    await bench.run(
        JOIN
        + """
    sta.connect("Dorm", "correct horse")
    wait(1010)
    print("scanning")
    print("ended", sta.scan(), sta.isconnected())
    print("then", wait(1010))
    """
    )
    await bench.says("^scanning")
    await bench.air.drop_network()
    assert await bench.says(r"^ended (.*)$") == "[] False"
    await bench.air.raise_network()
    assert await bench.says(r"^then (.*)$") == "1010"


async def test_a_scan_is_shorter_than_a_watchdogs_patience(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # It stops the interpreter, not the watchdog: what the firmware counts on is 30 s for a scan of 2.
    monkeypatch.setattr(wifi, "SCAN_S", 2.0)
    await bench.run(
        """
    import machine, network, time
    print("cause", machine.reset_cause())
    sta = network.WLAN(network.WLAN.IF_STA)
    sta.active(True)
    dog = machine.WDT(timeout=30_000)
    began = time.ticks_ms()
    found = len(sta.scan())
    print("took", time.ticks_diff(time.ticks_ms(), began) >= 2000, found)
    dog = machine.WDT(timeout=1000)
    sta.scan()
    """
    )
    assert await bench.says(r"^took (.*)$") == "True 1"
    await bench.says("^cause 3")  # with less patience it bites


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


async def test_a_network_with_users(bench: Bench) -> None:
    """WPA2-Enterprise: who logs in joins nothing weaker, and tells its password only the server that was named."""
    users = wifi.Enterprise({"ada": "hunter2"}, "radius.uni.example")
    bench.air.networks.append(wifi.AccessPoint("Uni", "", bssid="02:00:00:00:42:a7", enterprise=users))
    await bench.run(
        JOIN
        + """
    import eap
    print("seen", *[n[4] for n in sta.scan() if n[0] == b"Uni"])
    sta.config(reconnects=0)
    def login(what, ssid, password, server, status, inner="mschapv2"):
        eap.on(ssid, "anonymous", "ada", password, server, inner)
        sta.connect()
        print(what, wait(status))
        sta.disconnect()
        wait(1000)
    login("server", "Uni", "hunter2", "evil.example", 23)
    login("weak", "Dorm", "hunter2", "radius.uni.example", 211)
    print("told no server yet")
    """
    )
    assert await bench.says(r"^seen (.*)$") == "5"
    assert await bench.says(r"^server (.*)$") == "23"
    assert await bench.says(r"^weak (.*)$") == "211"
    await bench.says(r"^(told no server yet)$")
    assert users.heard == set()
    await bench.run(
        JOIN
        + """
    import eap
    sta.config(reconnects=0)
    eap.on("Uni", "anonymous", "ada", "wrong", "radius.uni.example", "pap")
    sta.connect()
    print("password", wait(23))
    sta.disconnect()
    wait(1000)
    sta.connect("Uni", "12345678")
    print("key", wait(210))
    sta.disconnect()
    wait(1000)
    for bad in (("", "u", "p", "s", "pap"), ("i", "u", "p", "", "pap"), ("i", "u" * 65, "p", "s", "pap")):
        try:
            eap.on("Uni", *bad)
            print("in, with", bad)
        except ValueError:
            pass
    eap.on("Uni", "anonymous", "ada", "hunter2", "radius.uni.example", "mschapv2")
    sta.connect()
    print("in", wait(1010))
    """
    )
    assert await bench.says(r"^password (.*)$") == "23"
    assert await bench.says(r"^key (.*)$") == "210"
    assert await bench.says(r"^in (.*)$") == "1010"
    assert {(login.user, login.identity) for login in users.heard} == {("ada", "anonymous")}

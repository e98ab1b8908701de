from check import equal
from speakeasy import scan


def seen(ssid, rssi=-50, security=3):
    return (ssid if isinstance(ssid, bytes) else ssid.encode(), b"\2\0\0\0\x42\xa0", 6, rssi, security, False)


def names(found):
    return [entry["ssid"] for entry in scan.strongest(found)]


def test_security_in_words():
    # wifi_auth_mode_t of ESP-IDF 5.5, whose last is 16; MicroPython's SEC_... are the same numbers.
    words = ["open", "other", "psk", "psk", "psk", "enterprise", "psk", "psk", "other", "other"]
    words += ["enterprise", "psk", "psk", "other", "enterprise", "enterprise", "enterprise"]
    equal([scan.security(mode) for mode in range(17)], words)
    for mode in (-1, 17, 255):
        equal(scan.security(mode), "other")


def test_the_numbers_are_the_drivers():
    import network

    wlan = network.WLAN
    for name, word in (
        ("SEC_OPEN", "open"),
        ("SEC_WEP", "other"),
        ("SEC_WPA", "psk"),
        ("SEC_WPA2", "psk"),
        ("SEC_WPA_WPA2", "psk"),
        ("SEC_WPA2_ENT", "enterprise"),
        ("SEC_WPA3", "psk"),
        ("SEC_WPA2_WPA3", "psk"),
    ):
        # A board without Wi-Fi has few of them.
        equal(scan.security(getattr(wlan, name, {"other": 1, "enterprise": 5, "open": 0}.get(word, 3))), word)


def test_strongest_first_one_entry_a_name():
    found = [seen("far", -90), seen("near", -40, 0), seen("far", -60, 5), seen("mid", -55), seen("near", -41)]
    equal(
        scan.strongest(found),
        [
            {"ssid": "near", "rssi": -40, "security": "open"},
            {"ssid": "mid", "rssi": -55, "security": "psk"},
            {"ssid": "far", "rssi": -60, "security": "enterprise"},
        ],
    )
    equal(scan.strongest([]), [])


def test_nineteen_twenty_twenty_one():
    for count in (19, 20, 21):
        found = [seen("net %d" % n, -30 - n) for n in range(count)]
        found.reverse()
        equal(names(found), ["net %d" % n for n in range(min(count, scan.MAX_FOUND))])
    equal(scan.MAX_FOUND, 20)


def test_what_nobody_could_ask_for_is_left_out():
    equal(
        names([seen(b""), seen(b"\xff\xfe"), seen(b"caf\xc3\xa9"), seen(b"half \xc3"), seen(b"x" * 32)]),
        ["café", "x" * 32],
    )


def test_names_are_a_strangers_bytes():
    import os

    for _ in range(300):
        found = [seen(os.urandom(n % 33), -n) for n in range(40)]
        assert len(scan.strongest(found)) <= scan.MAX_FOUND

"""What networks are in sight: the driver's list made short enough for people and records (SPEC 2.4)."""

from micropython import const

MAX_FOUND = 20

_SSID = const(0)
_RSSI = const(3)
_SECURITY = const(4)

# ESP-IDF's wifi_auth_mode_t, which the driver passes on: 0 to 16, and what may come.
_OPEN = (0,)
_PSK = (2, 3, 4, 6, 7, 11, 12)  # WPA, WPA2, both, WPA3, WPA2 and 3, WPA3 with other encryption (alone, mixed)
_ENTERPRISE = (5, 10, 14, 15, 16)  # WPA2, WPA3 of 192 bits, WPA3, WPA2 and 3, WPA
# Left: WEP, WAPI, OWE, DPP.


def security(mode: int) -> str:
    """The word for a network's security: what it takes to join it."""
    if mode in _OPEN:
        return "open"
    if mode in _PSK:
        return "psk"
    return "enterprise" if mode in _ENTERPRISE else "other"


def strongest(found: list) -> list:
    """The driver's tuples as `scan` answers them: strongest first, one entry a name, at most MAX_FOUND. Hidden networks
    and names that are no UTF-8 are left out: nobody could ask for them."""
    answer: list = []
    names = set()
    for entry in sorted(found, key=lambda entry: -entry[_RSSI]):
        if len(answer) == MAX_FOUND:
            break
        try:
            ssid = bytes(entry[_SSID]).decode()
        except ValueError:  # UnicodeError, too
            continue
        if ssid and ssid not in names:
            names.add(ssid)
            answer.append({"ssid": ssid, "rssi": entry[_RSSI], "security": security(entry[_SECURITY])})
    return answer

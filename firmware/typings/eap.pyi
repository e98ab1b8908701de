def on(ssid: str, identity: str, user: str, password: str, server: str, inner: str) -> None:
    """What the next connect() without arguments joins, and logs in to (WPA2-Enterprise, PEAP or TTLS). Texts of 1 to 64
    bytes, the ssid 1 to 32; `server` may be "" (any), but not with `inner` "pap". Raises ValueError, OSError."""

def off() -> None:
    """Forgets the login."""

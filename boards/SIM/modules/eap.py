# eap (firmware/enterprise/modeap.c), over the air of the virtual dorm.
import _air

_MAX_BYTES = 64


def on(ssid, identity, user, password, server, inner):
    if inner not in ("mschapv2", "pap") or not 1 <= len(ssid.encode()) <= 32:
        raise ValueError
    for text in (identity, user, password, server or ("" if inner == "pap" else "any")):
        if not 1 <= len(text.encode()) <= _MAX_BYTES:
            raise ValueError
    _air.ask("login", ssid=ssid, identity=identity, user=user, password=password, server=server, inner=inner)


def off():
    pass  # connect() with a name takes the login's place

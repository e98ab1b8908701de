# For a board without Wi-Fi: the tests' scripted radios take the login.
def on(ssid, identity, user, password, server, inner):
    raise OSError(19)  # ENODEV


def off():
    pass

# For a board without Wi-Fi: what the firmware names of `network`. The tests' scripted radios take the place of an
# interface, here as on every board.


class WLAN:
    IF_STA = 0
    IF_AP = 1
    SEC_WPA2_WPA3 = 7

    def __init__(self, interface):
        raise OSError(19)  # ENODEV


def ipconfig(what):
    raise OSError(19)

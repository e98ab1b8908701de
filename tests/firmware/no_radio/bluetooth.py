# For a board without Bluetooth: what the firmware names of `bluetooth`.


class UUID:
    def __init__(self, text):
        self.text = text

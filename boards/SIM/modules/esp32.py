# esp32, as MicroPython's ESP32 port has it: what the firmware uses of it.

_ESP_FAIL = -1


class Partition:
    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        # What a chip says whose image came by cable: the bootloader has no notes on it.
        raise OSError(-_ESP_FAIL, "ESP_FAIL")

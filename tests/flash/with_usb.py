"""Usage: with_usb.py FILE WORD...

The command `speakeasy`, on a computer whose USB ports are those that FILE lists at that moment:
JSON, an object a port."""

import json
import sys
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from speakeasy.cli import main

FILE = Path(sys.argv.pop(1))


def comports() -> list[ListPortInfo]:
    found = []
    for facts in json.loads(FILE.read_text()):
        port = ListPortInfo(facts["device"])
        port.vid, port.location, port.serial_number = facts["vid"], facts["location"], facts["serial_number"]
        found.append(port)
    return found


if __name__ == "__main__":
    list_ports.comports = comports
    main()

"""`python -m dorm.speaker IFNAME LEASE_FILE CONTROL_SOCKET BOOT`: the player's software, from one boot to the next."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from dorm.speaker.device import Device
from dorm.speaker.machine import REBOOT_STATUS


async def run(ifname: str, lease_file: Path, control: Path, boot: int) -> None:
    await Device(ifname, lease_file, boot).run(control)
    # A machine that reboots says no goodbye to its TCP peers: the radio goes off first.
    down = await asyncio.create_subprocess_exec("ip", "link", "set", "dev", ifname, "down")
    await down.wait()
    os._exit(REBOOT_STATUS)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m dorm.speaker", description=__doc__)
    parser.add_argument("ifname", help="the network interface that it has")
    parser.add_argument("lease_file", type=Path, help="what its DHCP client has got")
    parser.add_argument("control", type=Path, help="the socket where it is asked how it is")
    parser.add_argument("boot", type=int, help="which boot this is, counted from 1")
    given = parser.parse_args()
    asyncio.run(run(given.ifname, given.lease_file, given.control, given.boot))


if __name__ == "__main__":
    main()

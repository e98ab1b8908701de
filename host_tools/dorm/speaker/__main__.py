"""`python -m dorm.speaker IFNAME LEASE_FILE CONTROL_SOCKET BOOT`: the player's software, from one boot to the next."""

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
    ifname, lease_file, control, boot = sys.argv[1:]
    asyncio.run(run(ifname, Path(lease_file), Path(control), int(boot)))


if __name__ == "__main__":
    main()

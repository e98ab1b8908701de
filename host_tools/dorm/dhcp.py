"""A machine's DHCP client: busybox's udhcpc with a script of ours."""

import signal
from dataclasses import dataclass
from pathlib import Path

from dorm.namespaces import Namespace
from dorm.programs import Program

SCRIPT = Path(__file__).with_name("udhcpc.script")


@dataclass(frozen=True)
class Lease:
    """What a DHCP server granted. Addresses are dotted quads; `lease_s` in seconds."""

    address: str
    netmask: str
    router: str
    dns: tuple[str, ...]
    server: str
    lease_s: int


def read_lease(path: Path) -> Lease | None:
    """Reads what the script has written; None when there is no lease."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return Lease(
        values["ip"],
        values["subnet"],
        values.get("router", "").split(" ")[0],
        tuple(values.get("dns", "").split()),
        values.get("serverid", ""),
        int(values.get("lease") or 0),
    )


class DhcpClient:
    """udhcpc on one interface. The lease is also in the file `lease_file`."""

    def __init__(self, namespace: Namespace, ifname: str, hostname: str, lease_file: Path, log: Path) -> None:
        self.namespace = namespace
        self.ifname = ifname
        self.lease_file = lease_file
        self._before = lease_file.with_name(f"{lease_file.name}.before")  # removed by the script's first run
        # Three DISCOVERs a second apart, then a pause of a second: quick, as the link has just come up.
        # -a: an address that somebody else answers for (ARP) is declined, RFC 2131 section 4.4.1.
        self._program = Program(
            namespace,
            log,
            *("udhcpc", "-f", "-i", ifname, "-s", str(SCRIPT), "-t", "3", "-T", "1", "-A", "1", "-a300"),
            *("-x", f"hostname:{hostname}"),
            env={"DORM_LEASE": str(lease_file)},
        )

    @property
    def lease(self) -> Lease | None:
        return read_lease(self.lease_file)

    @property
    def running(self) -> bool:
        return self._program.running

    def check(self) -> None:
        self._program.check()

    async def start(self) -> None:
        """Returns when the client has dropped the lease of before, looks for one, and takes signals."""
        self._before.touch()
        await self._program.start(self._looking)

    def _looking(self) -> bool:
        return not self._before.exists()

    async def stop(self) -> None:
        await self._program.stop()

    def renew(self) -> None:
        """Asks the server again now, as at half of the lease's time."""
        self._program.send_signal(signal.SIGUSR1)

    async def forget(self) -> None:
        """Drops address and lease, as a machine that was switched off."""
        await self.stop()
        self.lease_file.unlink(missing_ok=True)
        await self.namespace.run("ip", "-4", "addr", "flush", "dev", self.ifname)

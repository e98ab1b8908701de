"""The dorm's router: dnsmasq for DHCP and DNS, Linux for routing."""

import ipaddress
import signal
from pathlib import Path

from dorm import dns
from dorm.errors import DormError
from dorm.namespaces import Namespace
from dorm.programs import Program
from dorm.topology import (
    DHCP_LEASE_S,
    DHCP_SHORT_LEASE_S,
    DOMAIN,
    RADIO_ADDR,
    RADIO_NAME,
    ROUTER_LAN,
    Lan,
)


class Router:
    """dnsmasq in the router's namespace. `directory` holds its files (leases, fixed addresses)."""

    def __init__(self, namespace: Namespace, directory: Path, log: Path, lan: Lan) -> None:
        self.namespace = namespace
        self.lan = lan
        self.log = log
        self.lease_s = DHCP_LEASE_S
        self._dhcp = True
        self._leases = directory / "leases"
        self._hosts = directory / "hosts"
        self._fixed: dict[str, str] = {}
        self._program: Program | None = None

    async def start(self) -> None:
        self._hosts.parent.mkdir(parents=True, exist_ok=True)
        self._write_hosts()
        self.namespace.sysctl("net/ipv4/ip_forward", "1")
        await self._start()

    async def _start(self) -> None:
        dhcp = (
            f"--dhcp-range={self.lan.pool_first},{self.lan.pool_last},{self.lan.netmask},{self.lease_s}",
            f"--dhcp-option=option:router,{self.lan.router}",
            f"--dhcp-option=option:dns-server,{self.lan.router}",
            f"--dhcp-leasefile={self._leases}",
            f"--dhcp-hostsfile={self._hosts}",
            "--dhcp-authoritative",
            "--no-ping",  # it would take up to 3 s for each first offer
            "--log-dhcp",
        )
        self._program = Program(
            self.namespace,
            self.log,
            *("dnsmasq", "--keep-in-foreground", "--user=root", "--group=root", "--conf-file=/dev/null", "--pid-file="),
            *("--no-hosts", "--no-resolv", "--no-poll", "--bind-interfaces", f"--interface={ROUTER_LAN}"),
            *("--except-interface=lo", "--log-facility=-", "--log-queries"),
            *(f"--domain={DOMAIN}", f"--local=/{DOMAIN}/"),
            *(f"--host-record=router.{DOMAIN},{self.lan.router}", f"--host-record={RADIO_NAME},{RADIO_ADDR}"),
            *(dhcp if self._dhcp else ()),
        )
        await self._program.start(self._answers)

    async def _answers(self) -> bool:
        # Once it answers one question, its sockets (that of DHCP among them) are bound, and its files read.
        return bool(await dns.ask(self.namespace, self.lan.router, RADIO_NAME, dns.AGAIN_S))

    async def stop(self) -> None:
        if self._program is not None:
            await self._program.stop()

    async def _restart(self) -> None:
        await self.stop()
        await self._start()

    def check(self) -> None:
        """Raises DormError when dnsmasq has ended."""
        if self._program is not None:
            self._program.check()

    async def serve_dhcp(self, on: bool) -> None:
        """Switches the DHCP server on or off; DNS goes on, and so do the leases that it remembers."""
        self._dhcp = on
        await self._restart()

    async def set_lease_time(self, seconds: int) -> None:
        """For the leases granted from now on; dnsmasq grants none shorter than 120 s."""
        if seconds < DHCP_SHORT_LEASE_S:
            raise DormError(f"dnsmasq grants no lease shorter than {DHCP_SHORT_LEASE_S} s; {seconds} s were asked for.")
        self.lease_s = seconds
        await self._restart()

    def leases(self) -> dict[str, str]:
        """MAC -> address, as the server remembers."""
        try:
            lines = self._leases.read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {fields[1]: fields[2] for fields in map(str.split, lines) if len(fields) >= 3 and ":" in fields[1]}

    def free_address(self) -> str:
        """An address of the pool that nobody has, from its end."""
        taken = {*self.leases().values(), *self._fixed.values()}
        address = ipaddress.ip_address(self.lan.pool_last)
        while str(address) in taken:
            address -= 1
        return str(address)

    async def change_address(self, mac: str, address: str | None = None) -> str:
        """From now on `mac` gets `address` (a free one when None), which is returned once the server knows.

        The machine learns it when it asks again: when its lease is half over, it associates again, or a test makes it
        renew. Until then the old one is refused by a DHCPNAK, not taken away.
        """
        chosen = address if address is not None else self.free_address()
        self._fixed[mac] = chosen
        self._write_hosts()
        if self._program is not None:
            read = self._times_read()
            self._program.send_signal(signal.SIGHUP)
            await self._program.until(lambda: self._times_read() > read, "have read the fixed addresses")
        return chosen

    def _times_read(self) -> int:
        """How often dnsmasq has read the fixed addresses, as it says in its log."""
        return self.log.read_text(errors="replace").count(f" read {self._hosts}\n")

    def _write_hosts(self) -> None:
        self._hosts.write_text("".join(f"{mac},{address}\n" for mac, address in self._fixed.items()))

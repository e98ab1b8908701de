"""The speaker and the uplink talk, in either addressing mode: what goes in, and what has to come out on the other side.

In the text of a frame S is the speaker where the frame comes from or goes to the segment, and X on the uplink.
"""

import re

from core import Config, Filter
from frames import checksum, frame, show
from script import know, start

MODES = {"passthrough": Config(), "private": Config(speaker="192.168.77.2")}
GUARDED = Config(speaker="192.168.77.2", guard=True)


def _named(text: str, name: str) -> str:
    """The text with the bridge's side (S or X) by another name; not the flag S of TCP."""
    return re.sub(r"(?<![\w.:])[SX](?=:|\s*>)|(?<=> )[SX](?=:|\s|\)|$)", name, text)


class Talk:
    """A started filter with a speaker; the router's MAC is known."""

    def __init__(self, pf: Filter, mode: str = "passthrough") -> None:
        self.pf = pf
        self.mode = mode
        self.speaker = "S" if mode == "passthrough" else "alias"
        start(pf, MODES.get(mode, GUARDED))
        if mode == "passthrough":
            know(pf, "server")
        else:
            pf.input("segment", frame("segment", "udp alias:9 > server:53"))
            assert pf.input("uplink", frame("uplink", "arp router is-at router to X")) == "arp_learned"
        pf.out()

    def segment(self, text: str) -> bytes:
        return frame("segment", _named(text, self.speaker))

    def uplink(self, text: str) -> bytes:
        return frame("uplink", _named(text, "X"))

    def out(self, text: str, port: int = 0, verdict: str = "pass_speaker_uplink") -> None:
        """The speaker sends; it goes out from X (and from another port), with a lower TTL."""
        got = self.pf.input("segment", self.segment(text))
        assert got == verdict, f"{text}: {got}"
        self._went("uplink", frame("uplink", f"{self._moved(_named(text, 'X'), port)} ttl=63", False), verdict)

    def back(self, text: str, port: int = 0, verdict: str = "pass_uplink_speaker") -> None:
        """The uplink sends to X (and to another port); it reaches the speaker."""
        got = self.pf.input("uplink", self.uplink(self._moved(text, port)))
        assert got == verdict, f"{text}: {got}"
        self._went("segment", frame("segment", f"{_named(text, self.speaker)} ttl=63", False), verdict)

    def _went(self, port: str, want: bytes, verdict: str) -> None:
        out = self.pf.out()
        if verdict.startswith("drop"):
            assert out == []
            return
        shown = "\n".join(f"    {p}: {show(f)}" for p, f in out)
        assert out == [(port, want)], f"went out:\n{shown}\nshould have:\n    {port}: {show(want)}"

    @staticmethod
    def _moved(text: str, port: int) -> str:
        """The bridge's port, or an echo's identifier, as the uplink sees it."""
        if not port:
            return text
        return re.sub(r"(?<![\w.:])X:\d+", f"X:{port}", re.sub(r"\bid=\d+", f"id={port}", text))

    def external_port(self, local_port: int, proto: int, owner: int = 1) -> int:
        ports = {
            f.external_port
            for f in self.pf.flows()
            if f.owner == owner and f.local_port == local_port and f.proto == proto
        }
        assert len(ports) == 1, ports
        return ports.pop()

    def established(self, port: int = 30000, remote: str = "server:80") -> None:
        """A connection that the speaker opened: next numbers 11 (speaker) and 21 (remote)."""
        self.out(f"tcp S:{port} > {remote} S seq=10")
        self.back(f"tcp {remote} > X:{port} SA seq=20 ack=11")
        self.out(f"tcp S:{port} > {remote} A seq=11 ack=21")


def changed(built: bytes, at: int, new: bytes) -> bytes:
    """A frame with other bytes in its IP packet. The header's checksum, and an ICMP message's, are put right."""
    ip = bytearray(built[14:])
    ip[at : at + len(new)] = new
    total = int.from_bytes(ip[2:4], "big")
    ip[10:12] = b"\0\0"
    ip[10:12] = checksum(bytes(ip[:20])).to_bytes(2, "big")
    if ip[9] == 1 and at >= 20:
        ip[22:24] = b"\0\0"
        ip[22:24] = checksum(bytes(ip[20:total])).to_bytes(2, "big")
    return built[:14] + bytes(ip)

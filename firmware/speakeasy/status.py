"""What the bridge shows: its light, and what the operation `status` answers."""

import asyncio

from machine import Pin
from micropython import const

from . import PROTOCOL, VERSION, clock, inet, openness
from . import uplink as uplinks
from .policy import CLAIM_PORT
from .settings import SEGMENT, UPLINK

# Patterns: the light's levels, an eighth of a second each, repeated.
ERASING = b"\1\0"  # as fast as it can: hold on, and all is erased
PRESSED = b"\0"  # the button is down
WINDOW = b"\1\1\0\0"  # twice a second: pair a phone now
LOCKED = b"\1\0\1\0\1\0\0\0"  # three blinks: too many wrong proofs
UNOWNED = b"\1\0\1\0\0\0\0\0"  # two blinks: pair a phone
INVITED = b"\1\0\0\0\0\0\0\0"  # one blink: an invite waits for its phone
NO_UPLINK = b"\1\1\1\1\0\0\0\0"  # once a second: no network
NO_SPEAKER = b"\1\1\1\1\1\1\1\0"  # on, with a wink: no speaker
WELL = b"\1"

ERASING_MS = 3_000  # so long the button may be down before the light warns

_OF_STATE = {
    openness.WINDOW: WINDOW,
    openness.LOCKED: LOCKED,
    openness.UNOWNED: UNOWNED,
    openness.INVITED: INVITED,
}
_STEP_MS = const(125)


class Status:
    """Collects from the others; owns nothing but the light."""

    def __init__(self, identity, settings, uplink, segment, policy, phones, openness, button, beat) -> None:
        self._identity = identity
        self._settings = settings
        self._uplink = uplink
        self._segment = segment
        self._policy = policy
        self._phones = phones
        self._openness = openness
        self._button = button
        self._beat = beat
        self._light = Pin("LED", Pin.OUT)

    def pattern(self) -> bytes:
        """The light's pattern for the most pressing state."""
        held_ms = self._button.held_ms()
        if held_ms >= ERASING_MS:
            return ERASING
        if held_ms:
            return PRESSED
        pattern = _OF_STATE.get(self._openness.state())
        if pattern:
            return pattern
        if self._uplink.state != uplinks.UP:
            return NO_UPLINK
        if not self._segment.present:
            return NO_SPEAKER
        return WELL

    async def run(self) -> None:
        """Drive the light for ever."""
        step = 0
        shown = -1
        while True:
            pattern = self.pattern()
            level = pattern[step % len(pattern)]
            if level != shown:
                shown = level
                self._light.value(level)
            step += 1
            self._beat()
            await asyncio.sleep_ms(_STEP_MS)

    def answer(self) -> dict:
        """The answer to `status` without its leases (SPEC 2.4)."""
        up = self._uplink
        policy = self._policy
        answer = {
            "bridge": self._identity.bridge_id.hex(),
            "version": VERSION,
            "protocol": PROTOCOL,
            "mode": self._settings.mode,
            "ethernet": by_cable(up, self._segment),
            "uplink": {
                "state": up.state,
                "ssid": up.ssid,
                "addr": _text(up.addr),
                "mask": _text(up.mask),
                "router": _text(up.router),
            },
            "segment": {
                "state": self._segment.state,
                "speaker": inet.mac_text(policy.speaker) if policy.speaker else None,
                "addr": _text(policy.speaker_addr),
                "host": inet.text(policy.host),
            },
            "ble": {"state": self._openness.word(), "left_s": self._openness.left_s()},
            "claim_port": CLAIM_PORT,
            "phones": len(self._phones.all()),
            "flows": policy.flows(),
            "uptime_s": clock.seconds(),
        }
        if policy.speaker and not self._segment.present:
            answer["segment"]["there"] = False
            answer["segment"]["addr"] = ""
        if up.failed:
            answer["uplink"]["failed"] = up.failed
        if self._settings.damaged:
            answer["damaged"] = True
        return answer

    def leases(self) -> list:
        """The leases, as `status` lists them."""
        return [
            {
                "phone": phone,
                "addr": inet.text(addr),
                "mac": inet.mac_text(mac) if mac else None,
                "by": "mac" if mac else "address",
                "left_s": left,
            }
            for phone, addr, mac, left in self._policy.leases()
        ]


def by_cable(uplink, segment) -> str | None:
    """Which side is on the board's Ethernet since the bridge has started; None: neither."""
    return SEGMENT if segment.cable else UPLINK if uplink.cable else None


def _text(addr: bytes) -> str:
    return inet.text(addr) if addr != inet.ZERO else ""

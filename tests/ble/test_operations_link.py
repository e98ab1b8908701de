"""Every operation and every word of error of SPEC 2.4, asked over a Bluetooth link at three MTUs."""

import asyncio
import json
from typing import Any

import pytest
from ble_sides import LIMIT_S
from pairing_sides import BRIDGE_ID, INVITE, PHONE, PHONE_ID, Phone, call, program
from speakeasy import codes
from speakeasy import session as s
from test_pairing_link import mtus

# What the operations stand on: the real uplink on a scripted station, as many leases as there can be.
MORE = """
from speakeasy.uplink import Uplink

class Station:
    def scan(self):
        return [(b"net %02d" % n, bytes(6), 1, -30 - n, n % 8, False) for n in range(30)]

class Segment:
    state = "up"
    cable = False

class Status:
    def answer(self):
        return {"bridge": me.bridge_id.hex(), "uplink": {"ssid": "\\x01" * 32}}

    def leases(self):
        lease = {"addr": "223.255.255.254", "mac": "02:00:00:00:42:20", "by": "mac", "left_s": 604800}
        return [dict(lease, phone="%016x" % n) for n in range(16)]

uplink = Uplink(Station(), settings, policy.uplink_changed, lambda: None)
operations = Operations(me, settings, phones, policy, uplink, Segment(), Status(), invites, files, reached)
for n in range(14):
    phones.add({"id": "%016x" % n, "key": "%064x" % n, "name": "phone", "role": "guest"})
"""
GUEST = s.Credential.phone_key(bytes(8), bytes(32))


class Asking:
    """Requests of one phone."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.number = 0

    async def answer(self, op: str, **rest: object) -> dict[str, Any]:
        self.number += 1
        text = await self.phone.ask(json.dumps({"op": op, "id": self.number, **rest}).encode())
        assert len(text) <= s.LARGEST_PLAIN
        answer = json.loads(text)
        assert isinstance(answer, dict)
        assert answer.pop("id") == self.number
        return answer

    async def good(self, op: str, **rest: object) -> dict[str, Any]:
        answer = await self.answer(op, **rest)
        assert answer.pop("ok") is True, answer
        return answer

    async def refused(self, word: str, op: str, **rest: object) -> None:
        answer = await self.answer(op, **rest)
        assert (answer["ok"], answer["error"]) == (False, word)
        assert answer["say"].endswith((".", "?")), answer

    async def pages(self, op: str, member: str) -> list[Any]:
        items: list[Any] = []
        for page in range(64):
            answer = await self.good(op, page=page)
            items += answer[member]
            if not answer.get("more"):
                return items
        raise AssertionError("no end")


@mtus
async def test_each_operation_of_an_owner(board, central, mtu):
    bridge = await board(program(more=MORE))
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)
        ask = Asking(phone)
        assert len(await ask.pages("status", "leases")) == 16
        assert (await ask.good("counters"))["counters"] == {}
        await ask.refused("busy", "token")  # there is no uplink
        assert len(await ask.pages("phones", "phones")) == 15
        assert await ask.good("rename", phone=f"{3:016x}", name="Zoë") == {}
        assert [each["name"] for each in await ask.pages("phones", "phones")].count("Zoë") == 1
        await ask.refused("not-found", "rename", phone="f" * 16, name="x")
        invite = await ask.good("invite", role="guest", expires_s=3600)
        assert invite["link"] == "speakeasy:#invite=" + invite["invite"]
        assert (len(codes.read_invite(invite["invite"])[1]), invite["expires_s"]) == (16, 3600)
        await ask.refused("bad-request", "invite", role="guest", expires_s=3601)
        assert await ask.good("uninvite") == {}
        assert await ask.good("revoke", phone=f"{3:016x}") == {}
        await ask.refused("last-owner", "revoke", phone=PHONE_ID.hex())
        await ask.refused("last-owner", "leave")
        found = await ask.pages("scan", "networks")
        assert [each["ssid"] for each in found] == [f"net {n:02d}" for n in range(20)]
        assert {each["security"] for each in found} == {"open", "other", "psk", "enterprise"}
        assert await ask.good("join", ssid="Dorm", key="correct horse") == {}
        known = {"networks": [{"ssid": "Dorm", "open": False}], "mac": "02:00:00:00:00:01"}
        assert await ask.good("networks") == known
        await ask.refused("bad-request", "networks", order=["Other"])
        assert await ask.good("forget", ssid="Dorm") == {}
        await ask.refused("not-found", "forget", ssid="Dorm")
        segment = await ask.good("segment", ssid="Speaker", key="only for the speaker")
        assert segment == {"ssid": "Speaker", "key": "only for the speaker", "state": "up"}
        addressing = await ask.good("addressing", mode="private", hosts=["10.66.0.9"])
        assert addressing == {"mode": "private", "hosts": ["10.66.0.9"]}
        eight = [f"udp/{n}" for n in range(1, 9)]
        assert await ask.good("services", services=eight) == {"services": eight}
        await ask.refused("bad-request", "services", services=[*eight, "udp/9"])
        lines = await ask.pages("log", "lines")
        assert "udp/1" in lines[0]
        assert not any("correct horse" in line for line in lines)
        await ask.refused("bad-request", "reset", bridge="00" * 8)
        assert await ask.good("bye") == {}
        assert await phone.hear() is None


@mtus
async def test_each_operation_of_a_guest_and_of_a_new_phone(board, central, mtu):
    bridge = await board(program(more=MORE))
    of_owners = ("phones", "rename", "invite", "uninvite", "revoke", "scan", "join", "networks", "forget", "segment")
    of_owners += ("addressing", "services", "log", "reboot", "reset")
    async with call(central, bridge, mtu) as phone:
        await phone.greet(GUEST)
        ask = Asking(phone)
        for op in ("enrol", "confirm", *of_owners):
            await ask.refused("not-allowed", op)
        await ask.good("status")
        await ask.good("counters")
        assert (await ask.good("blocked"))["blocked"]["strangers"] == [0]
        assert await ask.good("leave") == {}
        await ask.refused("not-allowed", "status")  # it is nobody now
    async with call(central, bridge, mtu) as phone:
        await phone.greet(INVITE)
        ask = Asking(phone)
        for op in ("status", "counters", "blocked", "token", "leave", *of_owners):
            await ask.refused("not-allowed", op)
        await ask.refused("bad-request", "nothing")
        enrolled = await ask.good("enrol", name="ä" * 32)
        assert enrolled["role"] == "guest"
        assert await ask.good("confirm") == {}
        await ask.refused("not-allowed", "enrol", name="x")
    async with call(central, bridge, mtu) as phone:
        key = s.Credential.phone_key(bytes.fromhex(enrolled["phone"]), bytes.fromhex(enrolled["key"]))
        assert json.loads(await phone.greet(key))["name"] == "ä" * 32


@mtus
async def test_the_seventeenth_phone(board, central, mtu):
    more = (
        MORE
        + """
phones.add({"id": "%016x" % 15, "key": "%064x" % 15, "name": "phone", "role": "guest"})
"""
    )
    bridge = await board(program(more=more))
    async with call(central, bridge, mtu) as phone:
        await phone.greet(INVITE)
        ask = Asking(phone)
        await ask.refused("full", "enrol", name="x")
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)
        await Asking(phone).good("revoke", phone=f"{15:016x}")
    async with call(central, bridge, mtu) as phone:
        await phone.greet(INVITE)
        ask = Asking(phone)
        await ask.good("enrol", name="x")
        await ask.good("confirm")


@mtus
async def test_a_flash_that_refuses_is_said(board, central, mtu):
    more = (
        MORE
        + """
def refuse(*_):
    raise OSError(28)

files.save = refuse
"""
    )
    bridge = await board(program(more=more))
    async with call(central, bridge, mtu) as phone:
        await phone.greet(PHONE)
        await Asking(phone).refused("failed", "services", services=[])


@pytest.mark.parametrize(("op", "rest"), [("reboot", {}), ("reset", {"bridge": BRIDGE_ID.hex()})])
async def test_the_answer_comes_before_the_end(board, central, op, rest):
    bridge = await board(program(more=MORE))
    phone = await Phone.call(central, 185)
    await phone.greet(PHONE)
    assert await Asking(phone).good(op, **rest) == {}
    assert await phone.hear() is None
    async with asyncio.timeout(LIMIT_S):
        while await bridge.line() != "(end of output)":
            pass

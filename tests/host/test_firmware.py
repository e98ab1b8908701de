"""This phone and the firmware's own session, through a pipe: both were written from SPEC 2, apart from each other."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from speakeasy import session as s

TOP = Path(__file__).parents[2]
SIM = Path(os.environ.get("SPEAKEASY_SIM", TOP / "build/sim/speakeasy-sim"))
BRIDGE_ID = bytes.fromhex("b0b1b2b3b4b5b6b7")
CREDENTIALS = [
    s.Credential.setup_code(bytes(range(16))),
    s.Credential.phone_key(b"phone-id", bytes(range(32))),
    s.Credential.invite(b"inviteid", bytes(range(16, 32))),
]
LIMIT_S = 60


class Pipe:
    """A link to the firmware in a process of the SIM board. `spoil` may change what is written."""

    def __init__(self, mtu: int, process: asyncio.subprocess.Process, spoil: Callable[[bytes], bytes]) -> None:
        self.mtu = mtu
        self._process = process
        self._spoil = spoil

    @classmethod
    async def open(cls, mtu: int, credential: s.Credential, spoil: Callable[[bytes], bytes] = bytes) -> "Pipe":
        assert SIM.is_file(), f"{SIM} is missing: run `make sim`"
        process = await asyncio.create_subprocess_exec(
            *(SIM, "-X", "heapsize=1M", Path(__file__).with_name("firmware_session.py")),
            *(str(mtu), str(credential.mode), credential.key_id.hex(), credential.secret.hex(), BRIDGE_ID.hex()),
            env={"MICROPYPATH": f"{TOP / 'firmware'}:.frozen"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(mtu, process, spoil)

    async def read_info(self) -> bytes:
        return bytes([1, 0]) + BRIDGE_ID

    async def write(self, fragment: bytes) -> None:
        assert self._process.stdin is not None
        fragment = self._spoil(fragment)
        self._process.stdin.write(len(fragment).to_bytes(2, "big") + fragment)
        await self._process.stdin.drain()

    async def notifications(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        while True:
            try:
                size = int.from_bytes(await self._process.stdout.readexactly(2), "big")
                yield await self._process.stdout.readexactly(size)
            except asyncio.IncompleteReadError:
                return

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@pytest.mark.parametrize("mtu", [23, 185, 517])
@pytest.mark.parametrize("credential", CREDENTIALS, ids=["setup code", "phone key", "invite"])
async def test_a_whole_session(mtu: int, credential: s.Credential) -> None:
    async with asyncio.timeout(LIMIT_S):
        async with await s.Session.open(await Pipe.open(mtu, credential), credential) as session:
            assert (session.role, session.name, session.bridge) == ("owner", "Zoë", BRIDGE_ID)
            for number in range(1, 4):
                answer = await session.request("echo", text="ä" * 100)
                assert answer["got"] == {"op": "echo", "id": number, "text": "ä" * 100}
            assert len((await session.request("big"))["text"]) > 900
            most = s.LARGEST_PLAIN - len('{"op":"big","id":5,"text":""}')
            assert len((await session.request("big", text="x" * most))["text"]) > 900


async def test_the_wrong_secret() -> None:
    async with asyncio.timeout(LIMIT_S):
        link = await Pipe.open(185, CREDENTIALS[0])
        with pytest.raises(s.WrongSecret):
            await s.Session.open(link, s.Credential.setup_code(b"another secret.."))


async def test_a_wrong_proof_is_refused_by_the_firmware() -> None:
    def spoil(fragment: bytes) -> bytes:
        return fragment[:-1] + bytes([fragment[-1] ^ 1]) if fragment[1] == s.PROOF else fragment

    async with asyncio.timeout(LIMIT_S):
        link = await Pipe.open(185, CREDENTIALS[0], spoil)
        with pytest.raises(s.WrongSecret, match="does not accept"):
            await s.Session.open(link, CREDENTIALS[0])


async def test_a_changed_record_is_refused_by_the_firmware() -> None:
    def spoil(fragment: bytes) -> bytes:
        return fragment[:-1] + bytes([fragment[-1] ^ 1]) if fragment[1] == s.RECORD else fragment

    async with asyncio.timeout(LIMIT_S):
        async with await s.Session.open(await Pipe.open(185, CREDENTIALS[0], spoil), CREDENTIALS[0]) as session:
            with pytest.raises(s.SessionError, match="message to the bridge was changed"):
                await session.request("echo")

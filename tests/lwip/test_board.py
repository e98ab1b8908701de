"""The SIM_LWIP board by itself (boards/SIM_LWIP): lwIP with its loopback interface alone, no dorm."""

import os
import subprocess
from pathlib import Path

BINARY = Path(__file__).resolve().parents[2] / "build" / "sim-lwip" / "speakeasy-sim"
TIME_LIMIT_S = 120
SANITIZERS = {"ASAN_OPTIONS": "detect_stack_use_after_return=0:detect_leaks=0"}

SOCKETS = """
import asyncio, errno, socket

def fails(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)

server = socket.socket()
server.bind(("0.0.0.0", 80))
server.listen(2)
client = socket.socket()
client.connect(("127.0.0.1", 80))
there, peer = server.accept()
print("peer", peer[0])
print("sent", client.send(b"hello"), there.recv(10))
client.close()
print("closed", there.recv(5), there.recv(5))

quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
quiet.bind(("0.0.0.0", 5000))
quiet.settimeout(0.2)
print("timeout", fails(lambda: quiet.recv(1)))
quiet.setblocking(False)
print("no wait", fails(lambda: quiet.recv(1)))
connecting = socket.socket()
connecting.setblocking(False)
print("connecting", fails(lambda: connecting.connect(("127.0.0.1", 81))))
print("numbers", socket.getaddrinfo("1.2.3.4", 80))

left = []
print("taken", fails(lambda: [left.append(socket.socket()) for _ in range(100)]), len(left) + 4)
for one in left:
    one.close()

async def main():
    async def upper(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    await asyncio.start_server(upper, "0.0.0.0", 8080)
    reader, writer = await asyncio.open_connection("127.0.0.1", 8080)
    writer.write(b"hello\\n")
    await writer.drain()
    print("asyncio", await reader.read(-1))

asyncio.run(main())
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert BINARY.is_file(), f"{BINARY} is missing: make sim-lwip"
    return subprocess.run(
        [str(BINARY), "-c", program],
        env={**os.environ, **SANITIZERS, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT_S,
    )


def test_the_sanitizers_watch() -> None:
    ran = run("pass", ASAN_OPTIONS=SANITIZERS["ASAN_OPTIONS"] + ":verbosity=1")
    assert ran.returncode == 0
    assert "AddressSanitizer Init done" in ran.stderr


def test_sockets_are_those_of_the_esp32_port_on_lwip() -> None:
    ran = run(SOCKETS)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "peer 127.0.0.1",
        "sent 5 b'hello'",
        "closed b'' b''",
        "timeout ETIMEDOUT",
        "no wait EAGAIN",
        "connecting EINPROGRESS",
        "numbers [(2, 1, 0, '1.2.3.4', ('1.2.3.4', 80))]",
        "taken 23 48",  # ENFILE
        "asyncio b'HELLO\\n'",
    ]


def test_without_air_it_has_no_radio() -> None:
    ran = run("import network", SPEAKEASY_AIR="")
    assert ran.returncode == 1
    assert "this board has no radio and no pins" in ran.stderr

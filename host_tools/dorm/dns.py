"""One DNS question, asked as a resolver asks: again and again until the answer comes (RFC 1035, 4.2.1)."""

import asyncio
import socket
import struct

from dorm.errors import DormError
from dorm.namespaces import Namespace

PORT = 53
AGAIN_S = 0.5  # a datagram may be lost
LIMIT_S = 30.0
TYPE_A = 1
CLASS_IN = 1
RECURSION_DESIRED = 0x0100
_HEADER = struct.Struct("!HHHHHH")


def question(name: str, number: int) -> bytes:
    """The message that asks for the IPv4 address of `name`; `number` comes back in the answer."""
    labels = b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split("."))
    return _HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPE_A, CLASS_IN)


async def ask(namespace: Namespace, server: str, name: str, limit_s: float = LIMIT_S) -> bytes:
    """Asks `server` from that machine for the IPv4 address of `name`; returns the whole answer, whatever it says.

    Raises DormError when there is none within `limit_s`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    number = 0
    with namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as sock:
        sock.connect((server, PORT))
        while (left := end - loop.time()) > 0:
            number += 1
            try:
                async with asyncio.timeout(min(left, AGAIN_S)):
                    await loop.sock_sendall(sock, question(name, number))
                    while True:
                        answer = await loop.sock_recv(sock, 512)
                        if len(answer) >= _HEADER.size and 1 <= _HEADER.unpack_from(answer)[0] <= number:
                            return answer
            except TimeoutError:
                continue
            except ConnectionError:  # nobody has bound the port yet
                await asyncio.sleep(min(left, AGAIN_S / 10))
    raise DormError(f"The name server {server} did not answer {namespace.name} within {limit_s:g} s.")

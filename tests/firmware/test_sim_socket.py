# The SIM board's socket module has the ESP32 port's addresses and errors. Over the loopback interface.
import asyncio
import errno
import os
import select
import socket
import time

from check import equal, raises, until

HOST = "127.0.0.1"
PORT = int(os.getenv("SPEAKEASY_PORT"))  # conftest.py


def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((HOST, port))
    return s


def test_datagrams_come_with_the_senders_tuple():
    one, other = udp(PORT), udp(PORT + 1)
    equal(one.sendto(b"hello", (HOST, PORT + 1)), 5)
    equal(other.recvfrom(100), (b"hello", (HOST, PORT)))
    with raises(ValueError):
        one.sendto(b"x", ("not.an.address", 1))
    with raises(ValueError):
        one.sendto(b"x", ("1.2.3.256", 1))


def test_a_read_that_times_out_says_so():
    s = udp(PORT + 2)
    s.settimeout(0.05)
    with raises(OSError) as caught:
        s.recv(10)
    equal(caught.value.errno, errno.ETIMEDOUT)
    s.setblocking(False)
    with raises(OSError) as caught:
        s.recvfrom(10)
    equal(caught.value.errno, errno.EAGAIN)


def test_a_closed_socket_stays_closed():
    s = udp(PORT + 3)
    s.close()
    s.close()
    again = udp(PORT + 3)  # it may well have the same descriptor
    for use in (
        lambda: s.recv(1),
        lambda: s.read(1),
        lambda: s.write(b"x"),
        lambda: s.sendto(b"x", (HOST, 1)),
        s.fileno,
    ):
        with raises(OSError) as caught:
            use()
        equal(caught.value.errno, errno.EBADF)
    again.close()


async def test_a_servers_peer_is_a_tuple():
    seen = []

    async def serve(reader, writer):
        seen.append(reader.get_extra_info("peername"))
        line = await reader.readline()
        writer.write(line.upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, HOST, PORT + 4)
    reader, writer = await asyncio.open_connection(HOST, PORT + 4)
    writer.write(b"hello\n")
    await writer.drain()
    equal(await reader.read(-1), b"HELLO\n")
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    equal(len(seen), 1)
    ip, port = seen[0]
    equal(ip, HOST)
    assert isinstance(port, int) and 0 < port < 65536


async def test_a_refused_connection_raises():
    with raises(OSError) as caught:
        _, writer = await asyncio.open_connection(HOST, PORT + 5)
        writer.write(b"x")
        await writer.drain()
    equal(caught.value.errno, errno.ECONNREFUSED)


async def test_many_bytes_arrive_whole():
    data = bytes(range(256)) * 800

    async def serve(reader, writer):
        writer.write(await reader.readexactly(len(data)))
        await writer.drain()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "0.0.0.0", PORT + 6)
    reader, writer = await asyncio.open_connection(HOST, PORT + 6)
    writer.write(data)
    await writer.drain()
    equal(await reader.readexactly(len(data)), data)
    await writer.wait_closed()
    server.close()


def test_poll_sees_data():
    s, other = udp(PORT + 7), udp(PORT + 8)
    poller = select.poll()
    poller.register(s, select.POLLIN)
    equal(poller.poll(0), [])
    other.sendto(b"x", (HOST, PORT + 7))
    start = time.ticks_ms()
    equal(poller.poll(1000), [(s, select.POLLIN)])
    assert time.ticks_diff(time.ticks_ms(), start) < 500


def test_getaddrinfo_of_numbers():
    equal(socket.getaddrinfo("1.2.3.4", 80), [(2, 1, 0, "1.2.3.4", ("1.2.3.4", 80))])
    equal(socket.getaddrinfo("", "80", 0, socket.SOCK_DGRAM)[0][4], ("0.0.0.0", 80))


def test_a_name_servers_answer_is_not_trusted():
    question = b"\5radio\4test\0\0\1\0\1"
    head = b"id\x81\x80\0\1\0\1\0\0\0\0"
    good = head + question + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\x0a"
    equal(socket._first_address(good, b"id"), b"\xcb\0\x71\x0a")
    equal(socket._first_address(good, b"di"), None)
    for cut in range(len(good)):
        try:
            found = socket._first_address(good[:cut], b"id")
        except (IndexError, ValueError):
            found = None
        equal(found, None)


def test_a_multicast_group_can_be_joined():
    s = udp(PORT + 9)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes([239, 255, 255, 250, 127, 0, 0, 1]))
    with raises(ValueError):
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, b"1234")


async def test_there_are_as_many_sockets_as_on_a_chip():
    taken = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(45)]
    peers = []

    async def serve(reader, writer):
        peers.append(writer)

    server = await asyncio.start_server(serve, HOST, PORT + 10)
    _, first = await asyncio.open_connection(HOST, PORT + 10)  # client and server side: the 47th and 48th
    await until(lambda: peers)
    with raises(OSError) as caught:
        socket.socket()
    equal(caught.value.errno, 23)
    taken.pop().close()
    # One is left, for the client; the server has none to accept with, and hangs up.
    reader, second = await asyncio.open_connection(HOST, PORT + 10)
    try:
        equal(await asyncio.wait_for(reader.read(1), 5), b"")
    except OSError as error:
        equal(error.errno, errno.ECONNRESET)
    equal(len(peers), 1)
    for writer in (first, second, peers[0]):
        await writer.wait_closed()
    server.close()

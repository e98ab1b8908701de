# The claim server over real sockets.
import asyncio
import errno
import gc
import json
import os
import struct

import pktfilter
from check import equal, raises, until
from claim_stage import FAR, Bridge, token_body
from speakeasy import claim_server, eventlog
from stage import Console, claim_proof, forms

TIME_LIMIT_S = 40
claim_server.WRONG_DELAY_S = 1
LOOPBACK = b"\x7f\0\0\1"
PORT = int(os.getenv("SPEAKEASY_PORT"))  # conftest.py


class Server:
    def __init__(self):
        b = self.bridge = Bridge()
        # The filter leases to no loopback address, which is all that a test's connection can come from.
        grant = b.policy.grant

        def granted(phone_id, addr, port, mac):
            equal(addr, LOOPBACK)
            return grant(phone_id, FAR, port, mac)

        b.policy.grant = granted

    async def __aenter__(self):
        self.task = asyncio.create_task(self.bridge.claims.run("127.0.0.1", PORT))
        await until(lambda: self.bridge.beats)
        return self.bridge

    async def __aexit__(self, *_):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass


async def connect():
    """A phone's connection: (reader, writer). Not by `socket`: a board has ten of those, and they are the server's."""
    import usocket

    s = usocket.socket()
    s.setblocking(False)
    try:
        s.connect(struct.pack("<H", 2) + struct.pack(">H", PORT) + LOOPBACK + bytes(8))
    except OSError as e:
        if e.errno != errno.EINPROGRESS:
            raise
    stream = asyncio.StreamReader(s)
    return stream, stream


async def say(request):
    """What the server answers to these bytes, all of it."""
    reader, writer = await connect()
    try:
        if request:
            writer.write(request)
            await writer.drain()
        return await asyncio.wait_for(reader.read(-1), 15)
    finally:
        writer.close()
        await writer.wait_closed()


def request(method, path, body=b"", headers="Host: x\r\n"):
    return ("%s %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (method, path, headers, len(body))).encode() + body


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def json_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n" and b"Connection: close" in head
    return json.loads(body)


async def test_claim_over_a_socket():
    async with Server() as b:
        answer = await say(b"GET /challenge HTTP/1.1\r\nHost: x\r\n\r\n")
        equal(status_of(answer), 200)
        challenge = bytes.fromhex(json_of(answer)["challenge"])
        answer = await say(request("POST", "/claim", b.body(challenge, "127.0.0.1")))
        equal((status_of(answer), json_of(answer)["addr"]), (200, "127.0.0.1"))
        equal(pktfilter.leases()[0][0], FAR)
        answer = await say(request("POST", "/claim", b.body(b"x" * 16)))
        equal((status_of(answer), json_of(answer)["error"]), (403, "bad-proof"))


async def test_body_in_pieces():
    async with Server() as b:
        reader, writer = await connect()
        for piece in request("POST", "/claim", b.body(b.challenge(LOOPBACK))):
            writer.write(bytes((piece,)))
            await writer.drain()
        equal(status_of(await asyncio.wait_for(reader.read(-1), 5)), 200)
        writer.close()


async def test_bad_requests():
    async with Server() as b:
        for raw, status in (
            (b"\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"GET /t\r\n\r\n", 400),
            (b"GET /t HTTP/2.0\r\n\r\n", 400),
            (b"GET  /t HTTP/1.1\r\n\r\n", 400),
            (b"GET t HTTP/1.1\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\n : x\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA : x\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: x\n\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: \xff\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nA: \0\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 1e2\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            (b"GET /t HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nHost: 1\r\nOrigin: http://1\r\nOrigin: http://1\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200),
            (b"GET /t HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
            (b"GET /t HTTP/1.1\r\n\r\nGET /t HTTP/1.1\r\n\r\n", 400),
            (b"POST /claim HTTP/1.1\r\n\r\n{}", 400),
            (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
            (b"DELETE /claim HTTP/1.1\r\n\r\n", 405),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 513\r\n\r\n", 413),
            (b"POST /claim HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
            (b"GET /t HTTP/1.0\r\n\r\n", 200),
        ):
            answer = await say(raw)
            equal((raw, status_of(answer)), (raw, status))
        equal(b.server._active, 0)


async def test_another_sites_page_is_refused():
    async with Server() as b:

        async def hand_in(headers):
            b.tokens.put(b"T" * 16, b.phone["id"])
            answer = await say(request("POST", "/token", token_body(b"T" * 16), headers))
            return status_of(answer), json_of(answer).get("error")

        for headers in (
            "Host: 10.66.0.100:7780\r\nOrigin: http://evil.example\r\n",
            "Host: 10.66.0.100:7780\r\nOrigin: null\r\n",
            "Host: 10.66.0.100:7780\r\nOrigin:\r\n",
            "Host: 10.66.0.100:7780\r\nOrigin: http://10.66.0.100\r\n",
            "Host: 10.66.0.100:7780\r\nOrigin: https://10.66.0.100:7780\r\n",
            "Origin: http://10.66.0.100:7780\r\n",
            "Origin: http://None\r\n",
            # A name of theirs that leads to the bridge.
            "Host: evil.example:7780\r\nOrigin: http://evil.example:7780\r\n",
        ):
            equal((headers, await hand_in(headers)), (headers, (403, "cross-site")))
        equal(await hand_in("Host: 10.66.0.100:7780\r\nOrigin: http://10.66.0.100:7780\r\n"), (200, None))
        equal(await hand_in("origin: http://127.0.0.1:7780\r\nhost: 127.0.0.1:7780\r\n"), (200, None))
        equal(await hand_in(""), (200, None))


async def test_head_limit_below_at_above():
    async with Server():
        bare = b"GET /t HTTP/1.1\r\nA: \r\n\r\n"
        for size, status in ((1023, 200), (1024, 200), (1025, 413), (5000, 413)):
            raw = b"GET /t HTTP/1.1\r\nA: " + b"x" * (size - len(bare)) + b"\r\n\r\n"
            equal((size, status_of(await say(raw))), (size, status))


async def test_body_limit_below_at_above():
    async with Server():
        for size, status in ((511, 400), (512, 400), (513, 413)):
            answer = await say(request("POST", "/token", b" " * size))
            equal((size, status_of(answer)), (size, status))


async def test_half_a_request_is_given_up_after_5_s():
    async with Server() as b:
        import time

        start = time.ticks_ms()
        answers = await asyncio.gather(
            say(b""), say(b"GET /t HTT"), say(b"POST /claim HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
        )
        spent = time.ticks_diff(time.ticks_ms(), start)
        equal([status_of(a) for a in answers], [408] * 3)
        assert 4900 <= spent <= 12_000, spent
        equal(b.server._active, 0)


async def test_drops_of_a_request_do_not_buy_time():
    async with Server() as b:
        import time

        start = time.ticks_ms()
        head = b"POST /claim HTTP/1.1\r\nContent-Length: 400\r\n\r\n"
        for whole in (b"GET /t HTTP/1.1\r\n" + b"A: b\r\n" * 100, head + b" " * 399):
            reader, writer = await connect()
            sent = 0

            async def drip(writer=writer, whole=whole):
                nonlocal sent
                for sent in range(len(whole)):  # noqa: B007 (read below)
                    writer.write(whole[sent : sent + 1])
                    await writer.drain()
                    await asyncio.sleep_ms(100 if sent > len(whole) // 2 else 0)

            dripping = asyncio.create_task(drip())
            # No further: what is dripped into a closed connection resets it.
            answer = await asyncio.wait_for(reader.readline(), 15)
            equal(status_of(answer), 408)
            assert 10 < sent < len(whole) - 1, sent  # it was at it, and not done
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
            writer.close()
            await writer.wait_closed()
        assert time.ticks_diff(time.ticks_ms(), start) >= 2 * (claim_server.REQUEST_S * 1000 - 100)
        await until(lambda: b.server._active == 0)


async def test_forty_half_requests_keep_no_phone_out():
    async with Server() as b:
        most, held = 0, []
        for n in range(40):
            reader, writer = await connect()
            held.append((reader, writer))
            if n % 3:
                writer.write((b"GET /t HTT", b"POST /claim HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")[n % 3 - 1])
                await writer.drain()
            if n % 8 == 7:
                equal(status_of(await say(request("POST", "/claim", b.body(b.challenge(LOOPBACK))))), 200)
            most = max(most, b.server._active)
        assert most <= claim_server.MAX_CONNECTIONS, most
        assert len(b.server._unwhole) <= claim_server.MAX_CONNECTIONS
        # All but the last four have given way (or had their five seconds, on a machine as slow as that).
        for reader, _ in held[: -claim_server.MAX_CONNECTIONS]:
            assert await asyncio.wait_for(reader.read(10), 3) in (b"", b"HTTP/1.1 4")
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await until(lambda: b.server._active == 0)
        equal((b.server._unwhole, b.server._refusing, b.server._delayed), ([], 0, 0))


async def test_one_request_a_connection_whatever_was_asked_for():
    async with Server() as b:
        asked = []
        respond = b.server._respond

        def watched(method, path, body, addr, port):
            asked.append(path)
            return respond(method, path, body, addr, port)

        b.server._respond = watched
        for more in (b"", b"GET /t HTTP/1.1\r\n\r\n"):
            reader, writer = await connect()
            writer.write(b"GET /challenge HTTP/1.1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=600\r\n\r\n")
            await writer.drain()
            answer = b""
            while b"}" not in answer:
                answer += await asyncio.wait_for(reader.read(2000), 15)
            if more:  # a second one behind the first: it is read by nobody
                try:
                    writer.write(more)
                    await writer.drain()
                except OSError:
                    pass
            try:
                answer += await asyncio.wait_for(reader.read(-1), 15)
            except OSError:
                pass  # reset: there was something that nobody has read
            equal((answer.count(b"HTTP/1.1"), answer.count(b"Connection: close")), (1, 1))
            writer.close()
            await writer.wait_closed()
        equal(asked, ["/challenge"] * 2)
        # Both in one: no telling what is whose, so neither is answered but by a 400.
        equal(status_of(await say(b"GET /challenge HTTP/1.1\r\n\r\nGET /t HTTP/1.1\r\n\r\n")), 400)
        equal(len(asked), 2)


async def test_who_says_nothing_gives_way_to_a_phone():
    async with Server() as b:
        held = []
        for _ in range(claim_server.MAX_CONNECTIONS):
            held.append(await connect())
        await until(lambda: b.server._active == claim_server.MAX_CONNECTIONS)
        for _ in range(3):
            equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)
        equal(await held[0][0].read(10), b"")  # the oldest
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await until(lambda: b.server._active == 0)
        equal(b.server._unwhole, [])


async def test_who_was_refused_and_goes_on_sending_gives_way_to_a_phone():
    async with Server() as b:
        ended = 0

        async def drip():
            nonlocal ended
            while True:
                _, writer = await connect()
                try:
                    writer.write(b"X\r\n\r\n")
                    while True:
                        await writer.drain()
                        await asyncio.sleep_ms(20)
                        writer.write(b"y")
                except OSError:
                    ended += 1
                finally:
                    writer.close()
                    await writer.wait_closed()

        drips = [asyncio.create_task(drip()) for _ in range(claim_server.MAX_CONNECTIONS + 2)]
        await until(lambda: b.server._active == claim_server.MAX_CONNECTIONS)
        for _ in range(20):
            equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)
        # Nobody else asks, and each of them is heard out for a moment only, though it never pauses.
        before = ended
        await until(lambda: ended >= before + 2 * len(drips))
        for task in drips:
            task.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        await until(lambda: b.server._active == 0)
        equal(b.server._unwhole, [])


async def test_a_fifth_request_is_told_to_wait():
    async with Server() as b:
        b.server._active = claim_server.MAX_CONNECTIONS  # all of them being answered
        answer = await say(b"GET /t HTTP/1.1\r\n\r\n")
        equal((status_of(answer), json_of(answer)["error"]), (503, "busy"))
        b.server._active = 0
        equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)


async def test_phones_that_hang_up_leave_nothing():
    async with Server() as b:
        for raw in (b"", b"GET", b"GET /t HTTP/1.1\r\n\r\n"):
            for _ in range(10):
                _, writer = await connect()
                if raw:
                    writer.write(raw)
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        await until(lambda: b.server._active == 0)
        equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)


async def test_connections_without_end_leave_the_memory_as_it_was():
    async with Server() as b:
        challenge = request("GET", "/challenge")
        biggest = request("POST", "/token", b'{"token":"%s"}' % (b"0" * (claim_server.BODY_MAX_BYTES - 12)))

        async def wave():
            for n in range(6):
                _, writer = await connect()  # half a request, or nothing
                if n % 2:
                    writer.write(biggest[: 150 * n])
                    await writer.drain()
                equal(status_of(await say(challenge)), 200)
                equal(status_of(await say(biggest)), 400)
                equal(status_of(await say(b"G" * (claim_server.HEAD_MAX_BYTES + 1))), 413)
                writer.close()
                await writer.wait_closed()
            await until(lambda: b.server._active == 0)
            eventlog.clear()
            gc.collect()
            gc.collect()
            return gc.mem_alloc()

        await wave()
        before = await wave()
        grown = []
        for _ in range(4):
            grown.append(await wave() - before)
        assert min(grown[2:]) <= 512 and max(grown) <= 4096, grown


async def test_wrong_claims_are_slowed_down_good_ones_are_not():
    import time

    async with Server() as b:
        bad = request("POST", "/claim", b.body(b"x" * 16))
        for _ in range(claim_server.FREE_WRONG):
            equal(status_of(await say(bad)), 403)
        start = time.ticks_ms()
        slow = asyncio.create_task(say(bad))
        await until(lambda: b.server._delayed == 1)
        answer = await say(request("POST", "/claim", b.body(b.challenge(LOOPBACK))))
        equal(status_of(answer), 200)
        assert time.ticks_diff(time.ticks_ms(), start) < 1500
        answer = await slow
        equal((status_of(answer), json_of(answer)["error"]), (429, "slow-down"))
        assert time.ticks_diff(time.ticks_ms(), start) >= claim_server.WRONG_DELAY_S * 1000 - 50
        # Ten seconds later the slate is clean.
        b.clock.now += claim_server.WRONG_WINDOW_S
        equal(status_of(await say(bad)), 403)


async def test_many_wrong_claims_do_not_keep_a_good_one_out():
    async with Server() as b:
        bad = request("POST", "/token", token_body(b"N" * 16))
        for _ in range(claim_server.FREE_WRONG):
            await say(bad)
        crowd = [asyncio.create_task(say(bad)) for _ in range(claim_server.MAX_DELAYED)]
        await until(lambda: b.server._delayed == claim_server.MAX_DELAYED)
        # The next one is not kept waiting: there is no room for it to wait in.
        equal(status_of(await say(bad)), 429)
        equal(status_of(await say(request("POST", "/claim", b.body(b.challenge(LOOPBACK))))), 200)
        for task in crowd:
            equal(status_of(await task), 429)


async def test_no_secret_in_the_log():
    with Console() as console:
        async with Server() as b:
            challenge = b.challenge(LOOPBACK)
            body = b.body(challenge)
            await say(request("POST", "/claim", body))
            for _ in range(7):
                await say(request("POST", "/claim", b.body(b"x" * 16)))
            b.tokens.put(b"T" * 16, b.phone["id"])
            await say(request("POST", "/token", token_body(b"T" * 16)))
    proof = claim_proof(b.key, b.id, challenge)
    for secret in forms(b.key) + [proof] + forms(b"T" * 16) + [challenge.hex()]:
        assert secret not in console.text
    assert "is let in from" in console.text


async def test_it_can_be_started_again():
    for _ in range(2):
        async with Server():
            equal(status_of(await say(b"GET /t HTTP/1.1\r\n\r\n")), 200)
    with raises(OSError):
        await say(b"GET /t HTTP/1.1\r\n\r\n")

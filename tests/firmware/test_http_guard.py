# The guard on real sockets: phones in front, a speaker that records behind.
import asyncio
import os
import random

from check import equal, until
from guard_stage import ALIAS, PORT, SPEAKER_PORT, Bench, X, dial, get, post, quad
from speakeasy import http_guard, http_message

TIME_LIMIT_S = 40
US = b"%s:%d" % (X.encode(), PORT)
AUTHORITY = b"%s:%d" % (ALIAS.encode(), SPEAKER_PORT)


def ok(body, kind=b"text/xml", extra=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (kind, len(body), extra) + body


async def test_a_request_reaches_the_speaker_as_its_own():
    async with Bench() as b:
        body = b"<u>http://%s:1400/a</u><v>1.2.3.4</v>" % X.encode()
        await b.ask(
            b"POST /at?u=http%%3a%%2f%%2f%s%%3a1400 HTTP/1.1\r\nHOST: %s\r\n" % (X.encode(), US)
            + b'SOAPACTION: "a#b"\r\nX-Url: http://%s/\r\nContent-Type: text/xml; charset=utf-8\r\n' % X.encode()
            + b"Content-Length: %d\r\nConnection: x-own\r\nX-Own: 1\r\nKeep-Alive: 5\r\n" % len(body)
            + b"Accept-Encoding: gzip\r\nRange: bytes=1-2\r\n\r\n"
            + body
        )
        wanted = b"<u>http://127.0.0.2:1400/a</u><v>1.2.3.4</v>"
        equal(b.speaker.bodies, [wanted])
        equal(
            b.speaker.heads,
            [
                b"POST /at?u=http%3a%2f%2f127.0.0.2%3a1400 HTTP/1.1\r\nHost: "
                + AUTHORITY
                + b'\r\nSOAPACTION: "a#b"\r\nX-Url: http://127.0.0.2/\r\nContent-Type: text/xml; charset=utf-8\r\n'
                + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(wanted)
            ],
        )


async def test_text_is_rewritten_and_the_connection_stays():
    async with Bench() as b:
        page = b"<a>http://127.0.0.2:1400/x</a>" + b"y" * 3000 + b"127.0.0.2 127.0.0.22"
        wanted = b"<a>http://127.0.0.111:1400/x</a>" + b"y" * 3000 + b"127.0.0.111 127.0.0.22"
        chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
        for at in range(0, len(page), 700):
            chunked += b"%x\r\n" % len(page[at : at + 700]) + page[at : at + 700] + b"\r\n"
        b.speaker.answers = [
            ok(page, extra=b"Location: http://127.0.0.2:1400/\r\nETag: 5\r\n"),
            chunked + b"0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + page,
            b"HTTP/1.1 500 No\r\nContent-Type: application/xml;charset=x\r\nContent-Length: 9\r\n\r\n127.0.0.2",
        ]
        phone = await b.phone()
        for status in (200, 200, 200, 500):
            await phone.send(get())
            got, fields, body = await phone.answer()
            equal((got, body), (status, wanted if status == 200 else b"127.0.0.111"))
            equal((fields[b"transfer-encoding"], fields[b"connection"]), (b"chunked", b"keep-alive"))
            if b"etag" in fields:
                equal(fields[b"location"], b"http://127.0.0.111:1400/")
        equal(len(b.speaker.heads), 4)
        assert all(b"Connection: close" in head for head in b.speaker.heads)


async def test_what_is_no_text_passes_untouched():
    async with Bench() as b:
        art = bytes(range(256)) * 20 + b"127.0.0.2"
        b.speaker.answers = [
            ok(art, b"image/jpeg"),
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n" + art,
            ok(art),
            ok(art, b"text/xml", b"Content-Encoding: gzip\r\n"),
            ok(art, b"image/jpeg"),
        ]
        _, fields, body = await b.ask(get())
        equal((fields[b"content-length"], body), (b"%d" % len(art), art))
        _, fields, body = await b.ask(get())
        equal((fields[b"transfer-encoding"], body), (b"chunked", art))
        equal((await b.ask(get()))[2], art[:-9] + b"127.0.0.111")
        equal((await b.ask(get()))[2], art)
        # A body that is no text, too.
        await b.ask(post(art, b"Content-Type: application/octet-stream\r\n"))
        equal(b.speaker.bodies[-1], art)


async def test_an_old_client_gets_what_it_understands():
    async with Bench() as b:
        b.speaker.answers = [ok(b"<a>127.0.0.2</a>")]
        phone = await b.phone()
        await phone.send(b"GET /x HTTP/1.0\r\n\r\n")
        answer = await phone.rest()
        head, body = answer.split(b"\r\n\r\n")
        equal(body, b"<a>127.0.0.111</a>")
        assert b"chunked" not in head and b"Connection: close" in head, head


async def test_answers_without_a_body():
    async with Bench() as b:
        b.speaker.answers = [
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Type: text/xml\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 0\r\n\r\n",
            ok(b"last"),
        ]
        phone = await b.phone()
        await phone.send(b"HEAD" + get()[3:])
        head = await phone.take(b"\r\n\r\n")
        assert b"Content-Length: 99" in head, head
        for status in (b"204", b"304", b"200"):
            await phone.send(get())
            head = await phone.take(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 " + status) and b"chunked" not in head, head
        await phone.send(get())
        equal((await phone.answer())[2], b"last")


async def test_interim_answers():
    async with Bench() as b:
        b.speaker.answers = [b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"real")]
        equal((await b.ask(get()))[2], b"real")
        phone = await b.phone()
        await phone.send(post(b"12345", b"Expect: 100-continue\r\n")[:-5])
        equal(await phone.take(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        await phone.send(b"12345")
        equal((await phone.answer())[2], b"real")
        assert b"xpect" not in b.speaker.heads[-1]


async def test_requests_in_one_piece_are_told_apart():
    async with Bench() as b:
        phone = await b.phone()
        inner = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
        await phone.send(post(inner) + get(b"/two") + get(b"/three"))
        for _ in range(3):
            equal((await phone.answer())[0], 200)
        equal([head.split(b" ")[1] for head in b.speaker.heads], [b"/c", b"/two", b"/three"])
        equal(b.speaker.bodies, [inner, b"", b""])
        equal(len(b.speaker.peers), 3)  # each on a connection of its own


async def test_requests_that_are_refused_never_reach_the_speaker():
    host = b"Host: %s\r\n" % US
    async with Bench() as b:
        for request, status in (
            (b"GET /x HTTP/1.1\r\n\r\n", 400),
            (b"GET /x HTTP/1.1\r\n" + host + host + b"\r\n", 400),
            (b"GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
            (b"GET /x HTTP/1.1\r\nHost: %s.evil.example\r\n\r\n" % X.encode(), 421),
            (b"GET /x HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n", 421),
            (b"GET http://%s/ HTTP/1.1\r\n" % US + host + b"\r\n", 400),
            (b"CONNECT %s HTTP/1.1\r\n" % US + host + b"\r\n", 400),
            (b"DELETE /x HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"NOTIFY /x HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"OPTIONS /x HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"get /x HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"POST /x HTTP/1.1\r\n" + host + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            (b"POST /x HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            (b"POST /x HTTP/1.1\r\n" + host + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
            (b"POST /x HTTP/1.1\r\n" + host + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
            (b"POST /x HTTP/1.1\r\n" + host + b"Content-Length: 16385\r\n\r\n", 413),
            (b"POST /x HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nExpect: tea\r\n\r\n", 417),
            (b"GET /x HTTP/1.1\r\n" + host + b" folded: x\r\n\r\n", 400),
            (b"GET /x HTTP/1.1\r\n" + host + b"A : x\r\n\r\n", 400),
            (b"GET /x HTTP/1.1\n" + host + b"\r\n", 400),
            (b"GET /x HTTP/1.1\r\n" + host + b"A: \0\r\n\r\n", 400),
            (b"GET /x HTTP/1.1\r\n" + host + b"A: " + b"x" * 5000 + b"\r\n\r\n", 431),
            (b"GET /" + b"x" * 2048 + b" HTTP/1.1\r\n" + host + b"\r\n", 414),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
            (b"SUBSCRIBE /e HTTP/1.1\r\n" + host + b"NT: upnp:event\r\n\r\n", 412),
        ):
            got, fields, _ = await b.ask(request)
            equal((got, fields[b"connection"]), (status, b"close"))
        equal(b.speaker.peers, [])


async def test_a_request_that_breaks_off():
    async with Bench() as b:
        for part in (b"", b"GET /x", get()[:-2], post(b"12345")[:-1]):
            phone = await b.phone()
            await phone.send(part)
            await phone.close()
        await until(lambda: not len(b.guard._connections))
        equal(b.speaker.peers, [])


async def test_answers_that_are_refused():
    async with Bench() as b:
        for answer in (
            b"",
            b"HTTP/1.1 200",
            b"garbage\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * http_message.HEAD_MAX_BYTES + b"\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + ok(b"x"),
        ):
            b.speaker.answers = [answer]
            equal((await b.ask(get()))[0], 502)


async def test_an_answer_that_breaks_off_is_seen_to_break_off():
    async with Bench() as b:
        for answer in (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        ):
            b.speaker.answers = [answer]
            phone = await b.phone()
            await phone.send(get())
            got = await phone.rest()
            assert got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n"), got
            if b"image" in answer:
                assert b"Content-Length: 100" in got


async def test_no_speaker():
    async with Bench() as b:
        b.server.close()
        await b.server.wait_closed()
        status, _, body = await b.ask(get())
        assert status in (502, 504) and b"speaker" in body, (status, body)
        b.server = await asyncio.start_server(b.speaker.serve, ALIAS, SPEAKER_PORT)
        equal((await b.ask(get()))[0], 200)


async def test_bodies_at_the_limit():
    async with Bench() as b:
        body = os.urandom(http_guard.BODY_MAX_BYTES)
        equal((await b.ask(post(body, b"")))[0], 200)
        equal(b.speaker.bodies[-1], body)


async def test_all_bodies_together_have_a_limit():
    async with Bench() as b:
        half = []
        for _ in range(2):
            phone = await b.phone()
            await phone.send(post(bytes(http_guard.BODY_MAX_BYTES))[:-1])
            half.append(phone)
        await until(lambda: b.guard.budget._left == 0)
        equal((await b.ask(post(b"x")))[0], 503)
        equal((await b.ask(get()))[0], 200)
        await half[0].send(b"\0")
        equal((await half[0].answer())[0], 200)
        equal((await b.ask(post(b"x")))[0], 200)
        await half[1].close()


async def test_only_phones_with_a_lease():
    async with Bench() as b:
        stranger = await b.phone("127.0.0.9")
        await stranger.send(get())
        equal(await stranger.rest(), b"")
        speaker = await b.phone(ALIAS)
        await speaker.send(get())
        equal(await speaker.rest(), b"")
        b.policy.phones.add(quad("127.0.0.9"))
        phone = await b.phone("127.0.0.9")
        await phone.send(get())
        equal((await phone.answer())[0], 200)
        # It ends with the lease, wherever it is.
        b.policy.phones.discard(quad("127.0.0.9"))
        equal(await phone.rest(), b"")


async def test_connections_at_the_limit():
    async with Bench() as b:
        b.speaker.hold = asyncio.Event()
        phones = []
        for _ in range(http_guard.MAX_CONNECTIONS):
            phones.append(await b.phone())
            await phones[-1].send(get())
        await until(lambda: len(b.speaker.heads) == http_guard.MAX_CONNECTIONS)
        status, _, body = await b.ask(get())
        equal(status, 503)
        assert b"busy" in body
        b.speaker.hold.set()
        for phone in phones:
            equal((await phone.answer())[0], 200)
        # Now all are idle: the one that is so for longest gives way, and only that one.
        equal((await b.ask(get()))[0], 200)
        equal(await phones[0].rest(), b"")
        for phone in phones[1:]:
            await phone.send(get())
            equal((await phone.answer())[0], 200)


async def test_who_stalls_is_cut_off():
    async with Bench() as b:
        idle, head, body = await b.phone(), await b.phone(), await b.phone()
        await head.send(b"GET /x HTTP/1.1\r\n")
        await body.send(post(b"12345")[:-1])
        await until(lambda: len([c for c in b.guard._connections._all if not c.idle]) == 2)
        b.clock.now += http_guard.HEAD_S + 1
        equal((await head.rest(), await body.rest()), (b"", b""))
        await idle.send(get())
        equal((await idle.answer())[0], 200)
        b.clock.now += http_guard.IDLE_S
        await until(lambda: b.beats > 3)
        equal(len(b.guard._connections), 1)
        b.clock.now += 1
        equal(await idle.rest(), b"")
        b.speaker.hold = asyncio.Event()
        waiting = await b.phone()
        await waiting.send(get())
        await until(lambda: len(b.speaker.heads) == 2)
        b.clock.now += http_guard.STEP_S + 1
        equal(await waiting.rest(), b"")
        b.speaker.hold.set()


async def test_only_while_addressing_is_private():
    async with Bench() as b:
        phone = await b.phone()
        await phone.send(get())
        await phone.answer()
        b.policy.guarded = False
        equal(await phone.rest(), b"")
        await until(lambda: not len(b.guard._connections))
        late = await dial(X, PORT)
        try:
            await late.send(get())
            equal(await late.rest(), b"")
        except OSError:
            pass
        await late.close()
        equal(len(b.speaker.heads), 1)
        b.policy.guarded = True
        await b.up()
        equal((await b.ask(get()))[0], 200)


async def test_another_x_is_taken_up():
    async with Bench() as b:
        phone = await b.phone()
        b.policy.addr = quad("127.0.0.3")
        equal(await phone.rest(), b"")
        await until(lambda: b.guard._x == b"127.0.0.3")
        await b.up()
        b.speaker.answers = [ok(b"127.0.0.2")]
        equal((await b.ask(get()))[0], 421)
        equal((await b.ask(get().replace(X.encode(), b"127.0.0.3")))[2], b"127.0.0.3")


async def test_beats():
    async with Bench() as b:
        before = b.beats
        await until(lambda: b.beats > before + 1)
        b.policy.guarded = False
        before = b.beats
        await until(lambda: b.beats > before + 1)


async def test_fuzz():
    # Noise from phones and from the speaker: the guard goes on, nothing of it sticks, and what comes through is whole.
    random.seed(9)
    seeds = (
        get(),
        post(b"<u>127.0.0.111</u>"),
        get(b"/y", b"Connection: close\r\n"),
        post(b"x", b"Expect: 100-continue\r\n"),
    )
    answers = (
        ok(b"<u>127.0.0.2</u>"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"",
    )

    def spoiled(text):
        text = bytearray(text)
        for _ in range(random.randrange(3)):
            if text:
                at = random.randrange(len(text))
                text[at : at + random.randrange(3)] = random.choice((b"", b"\r\n", b" ", b":", b"\0", b"9", b"x" * 50))
        return bytes(text)

    async with Bench() as b:
        for _ in range(150):
            b.speaker.answers = [spoiled(random.choice(answers))]
            phone = await b.phone()
            await phone.send(spoiled(random.choice(seeds)))
            await asyncio.sleep_ms(1)
            if random.getrandbits(1):
                await phone.send(spoiled(get()))
            if random.getrandbits(1):
                await asyncio.sleep_ms(3)
            await phone.close()
        await until(lambda: not len(b.guard._connections), 8000)
        for head in b.speaker.heads:
            equal(head.lower().count(b"\r\nhost: "), 1)
            assert head.lower().count(b"\r\ncontent-length: ") <= 1 and b"transfer-encoding" not in head.lower()
            assert b"\nhost: " + AUTHORITY.lower() in head.lower()
        b.speaker.answers = [ok(b"<u>127.0.0.2</u>")]
        equal((await b.ask(get()))[2], b"<u>127.0.0.111</u>")

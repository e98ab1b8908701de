import random

from check import equal, raises
from speakeasy import http_message as http
from speakeasy.http_message import Bad, Body, Fields, Inlet, Request, Response


class Reader:
    """A stream of given bytes that comes in pieces of given sizes, over and over."""

    def __init__(self, data, sizes=(1000,)):
        self.data = data
        self.sizes = sizes
        self.turn = 0

    async def read(self, n):
        size = min(n, self.sizes[self.turn % len(self.sizes)])
        self.turn += 1
        piece, self.data = self.data[:size], self.data[size:]
        return piece


def refused(status, text, kind=Request):
    with raises(Bad) as caught:
        kind(text)
    equal(caught.value.status, status)


GOOD = b"GET /x HTTP/1.1\r\nHost: 10.66.1.161:1400\r\nAccept: */*"


def test_a_request():
    r = Request(GOOD)
    equal((r.method, r.target, r.is_11, r.host), (b"GET", b"/x", True, b"10.66.1.161:1400"))
    equal((r.length, r.chunked), (None, False))
    equal(r.fields.items, [(b"Host", b"10.66.1.161:1400"), (b"Accept", b"*/*")])
    r = Request(b"POST / HTTP/1.0\r\nCONTENT-LENGTH:\t12 \r\nX:")
    equal((r.is_11, r.length, r.host, r.fields.get(b"x")), (False, 12, None, b""))


def test_request_lines_that_are_none():
    for line in (
        b"",
        b"GET",
        b"GET /x",
        b"GET  /x HTTP/1.1",
        b"GET /x  HTTP/1.1",
        b" GET /x HTTP/1.1",
        b"GET /x HTTP/1.1 ",
        b"GET\t/x\tHTTP/1.1",
        b"GET /x y HTTP/1.1",
        b"GET /x HTTP/2.0",
        b"GET /x HTTP/1.2",
        b"GET /x http/1.1",
        b"GET /x HTTP/1.10",
        b"G@T /x HTTP/1.1",
        b"GET x HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET http://10.66.1.161:1400/x HTTP/1.1",
        b"CONNECT 10.66.1.161:1400 HTTP/1.1",
        b"GET /x#y HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"\r\nGET /x HTTP/1.1",
    ):
        refused(400, line + b"\r\nHost: a")
    refused(414, b"GET /" + b"x" * http.TARGET_MAX_BYTES + b" HTTP/1.1\r\nHost: a")
    Request(b"GET /" + b"x" * (http.TARGET_MAX_BYTES - 1) + b" HTTP/1.1\r\nHost: a")


def test_fields_that_are_none_and_smuggling():
    for fields in (
        b"Host: a\r\n folded: b",
        b"Host: a\r\n\tfolded",
        b"Host : a",
        b"Host\t: a",
        b": a",
        b"Host",
        b"Host: a\r\nX Y: z",
        b"Host: a\nX: y",
        b"Host: a\rX: y",
        b"Host: a\r\nX: y\x00z",
        b"Host: a\r\nX: y\x0bz",
        b"Host: a\r\nX: y\x7f",
        b"Host: a\r\n\r\nX: y",
        b"Host: a\r\nHost: a",
        b"Host: a\r\nhost: b",
        b"X: y",
        b"Host: a\r\nContent-Length: 1\r\nContent-Length: 1",
        b"Host: a\r\nContent-Length: 1\r\ncontent-length: 2",
        b"Host: a\r\nContent-Length: 1, 1",
        b"Host: a\r\nContent-Length: +1",
        b"Host: a\r\nContent-Length: -1",
        b"Host: a\r\nContent-Length: 0x1",
        b"Host: a\r\nContent-Length: 1 1",
        b"Host: a\r\nContent-Length:",
        b"Host: a\r\nContent-Length: \xb2",
        b"Host: a\r\nContent-Length: 1234567890",
        b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Host: a\r\nTransfer-Encoding: gzip, chunked",
        b"Host: a\r\nTransfer-Encoding: identity",
        b"Host: a\r\nTransfer-Encoding: xchunked",
        b"Host: a\r\nTransfer-Encoding: chunked, identity",
        b"Host: a\r\nTransfer-Encoding:",
    ):
        refused(400, b"POST /x HTTP/1.1\r\n" + fields)
    assert Request(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked").chunked
    many = [b"X: y"] * http.MAX_FIELDS
    equal(len(Fields(many).items), http.MAX_FIELDS)
    refused(431, many + [b"X: y"], Fields)


def test_a_response():
    r = Response(b"HTTP/1.1 200 OK\r\nContent-Type: Text/XML; charset=utf-8\r\nContent-Length: 5")
    equal((r.status, r.reason, r.kind(), r.length, r.chunked), (200, b"OK", b"text/xml", 5, False))
    equal(Response(b"HTTP/1.0 404").status, 404)
    equal(Response(b"HTTP/1.1 500 Internal Server Error").reason, b"Internal Server Error")
    for head in (
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/2 200 OK",
        b"ICY 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\n folded",
        b"HTTP/1.1 200 OK\r\nX : y",
    ):
        refused(502, head, Response)


def test_what_a_proxy_passes_on():
    f = Fields(
        [b"Host: a", b"Connection: Keep-Alive, X-Own", b"Keep-Alive: 5", b"X-Own: 1", b"TE: trailers", b"Soapaction: b"]
        + [b"Transfer-Encoding: chunked", b"Content-Length: 1", b"Upgrade: h2c", b"Proxy-Connection: x", b"Range: 1"]
    )
    equal(f.passed_on(b"host"), [(b"Soapaction", b"b"), (b"Range", b"1")])
    equal(f.options(), [b"keep-alive", b"x-own"])


async def test_heads_in_any_pieces():
    stream = GOOD + b"\r\n\r\nrest"
    for size in range(1, len(stream) + 1):
        inlet = Inlet(Reader(stream, (size,)))
        equal(await inlet.begins(), True)
        equal(await inlet.head(), GOOD)
        got = b""
        while len(got) < 4:
            got += await inlet.some(4 - len(got))
        equal(got, b"rest")
        equal(await inlet.begins(), False)


async def test_heads_at_the_limit_and_cut_off():
    for size, good in ((http.HEAD_MAX_BYTES, True), (http.HEAD_MAX_BYTES + 1, False), (20000, False)):
        for pieces in ((7,), (1024,)):
            inlet = Inlet(Reader(b"x" * size + b"\r\n\r\n", pieces))
            if good:
                equal(len(await inlet.head()), size)
            else:
                with raises(Bad) as caught:
                    await inlet.head()
                equal(caught.value.status, 431)
                assert len(inlet._rest) < http.HEAD_MAX_BYTES + 4 + http.PIECE_BYTES
    with raises(EOFError):
        await Inlet(Reader(b"GET /x HTTP/1.1\r\nHost: a\r\n")).head()
    equal(await Inlet(Reader(b"")).begins(), False)


async def all_of(body):
    out = b""
    while True:
        piece = await body.piece()
        if not piece:
            equal(await body.piece(), b"")
            return out
        assert len(piece) <= http.PIECE_BYTES
        out += piece


async def test_bodies():
    for sizes in ((1,), (2, 5), (1000,)):
        equal(await all_of(Body(Inlet(Reader(b"hello, more", sizes)), 5, False)), b"hello")
        equal(await all_of(Body(Inlet(Reader(b"", sizes)), 0, False)), b"")
        equal(await all_of(Body(Inlet(Reader(b"until the end", sizes)), None, False)), b"until the end")
        inlet = Inlet(Reader(b"5\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\nnext", sizes))
        equal(await all_of(Body(inlet, None, True)), b"hello0123456789")
        equal(await inlet.some(1), b"n")
        with raises(EOFError):
            await all_of(Body(Inlet(Reader(b"hell", sizes)), 5, False))
        for cut in (b"", b"5", b"5\r\nhell", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n"):
            with raises(EOFError):
                await all_of(Body(Inlet(Reader(cut, sizes)), None, True))
    equal(len(await all_of(Body(Inlet(Reader(b"x" * 5000)), None, False))), 5000)


async def test_chunks_that_are_none():
    for stream in (
        b"\r\n",
        b"g\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5;x=y\r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhelloo\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"12345678\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"f" * 100,
    ):
        with raises(Bad, EOFError):
            await all_of(Body(Inlet(Reader(stream)), None, True))


async def test_a_body_in_memory_is_in_few_pieces_however_it_came():
    text = bytes(range(251)) * 16
    for size in (1, 7, 1023, 1024, 3000):
        held = http.Held()
        for at in range(0, len(text), size):
            held.add(text[at : at + size])
            held.add(b"")
        equal((held.size, b"".join(held.pieces)), (len(text), text))
        assert len(held.pieces) <= 4 and max([len(piece) for piece in held.pieces]) <= 1024 + size, size
    sent = []

    class Writer:
        def write(self, data):
            sent.append(bytes(data))

        async def drain(self):
            sent.append(None)

    await held.send(Writer())
    equal(b"".join(sent[::2]), text)
    equal(set(sent[1::2]), {None})


def test_heads_are_written_as_they_are_read():
    text = http.head_of(b"GET / HTTP/1.1", [(b"Host", b"a"), (b"X", b"")])
    equal(text, b"GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n")
    equal(Request(text[:-4]).fields.items, [(b"Host", b"a"), (b"X", b"")])


def test_fuzz_heads():
    # What is accepted has one meaning: written out again, it is read as the same.
    random.seed(5)
    seeds = (
        b"POST /a HTTP/1.1\r\nHost: 10.66.1.161\r\nContent-Length: 12\r\nConnection: close",
        b"SUBSCRIBE /e HTTP/1.1\r\nHOST: 10.66.1.161:1400\r\nCALLBACK: <http://10.66.0.9:3400/n>\r\nNT: upnp:event",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked",
    )
    spice = (
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b",",
        b"\r\n ",
        b"Content-Length: 3\r\n",
        b"chunked",
        b"\xff",
    )
    accepted = 0
    for _ in range(3000):
        head = random.choice(seeds)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(head) + 1)
            end = at + random.choice((0, 0, 1, 1, 5))
            head = head[:at] + random.choice(spice + (b"",)) + head[end:]
        try:
            r = Request(head)
        except Bad:
            continue
        accepted += 1
        assert b"\n" not in head.replace(b"\r\n", b"") and b"\0" not in head
        assert r.length is None or not r.chunked
        lower = [line.split(b":")[0].strip().lower() for line in head.split(b"\r\n")[1:]]
        assert lower.count(b"content-length") + lower.count(b"transfer-encoding") <= 1
        again = Request(http.head_of(r.method + b" " + r.target + b" HTTP/1.1", r.fields.items)[:-4])
        equal((again.fields.items, again.length, again.chunked), (r.fields.items, r.length, r.chunked))
    assert accepted > 200, accepted

import random

from check import equal
from speakeasy.rewrite import Rewriter, replaced

OLD = b"192.168.77.2"
NEW = b"10.66.1.161"


def test_whole_addresses_only():
    for text, wanted in (
        (b"", b""),
        (OLD, NEW),
        (b"http://192.168.77.2:1400/x", b"http://10.66.1.161:1400/x"),
        (b"192.168.77.2192.168.77.2", None),
        (b"192.168.77.2 192.168.77.2", b"10.66.1.161 10.66.1.161"),
        (b"192.168.77.20", None),
        (b"1192.168.77.2", None),
        (b"0.192.168.77.2", None),
        (b"192.168.77.2.5", None),
        (b"It is 192.168.77.2.", b"It is 10.66.1.161."),
        (b"It is 192.168.77.2. 5 of them", b"It is 10.66.1.161. 5 of them"),
        (b"u=http%3a%2f%2f192.168.77.2%3a1400", b"u=http%3a%2f%2f10.66.1.161%3a1400"),
        (b"u=%22192.168.77.2%22", b"u=%2210.66.1.161%22"),
        (b"u=%20192.168.77.2", b"u=%2010.66.1.161"),
        (b"20192.168.77.2", None),
        (b"%192.168.77.2", b"%10.66.1.161"),
        (b"&quot;192.168.77.2&quot;", b"&quot;10.66.1.161&quot;"),
        (b"<a>192.168.77.1</a><b>192.168.77.2</b>", b"<a>192.168.77.1</a><b>10.66.1.161</b>"),
        (b"192x168.77.2", None),
    ):
        equal(replaced(text, OLD, NEW), text if wanted is None else wanted)
    equal(replaced(b"http://10.66.1.161:1400", NEW, OLD), b"http://192.168.77.2:1400")
    equal(replaced(OLD, OLD, OLD), OLD)


def whole(text, old, new):
    # The slow model: for each place in the whole text, by the rules as they are said.
    digits = b"0123456789"
    out = b""
    at = 0
    while at < len(text):
        end = at + len(old)
        good = text[at:end] == old
        if good and at:
            before = text[:at]
            if before[-1:] in [digits[i : i + 1] for i in range(10)]:
                good = len(before) >= 3 and before[-3:-2] == b"%" and chr(before[-2]) in "0123456789abcdefABCDEF"
            elif before[-1:] == b".":
                good = False
        if good:
            after = text[end:]
            if after and after[0] in digits or len(after) >= 2 and after[0] == 0x2E and after[1] in digits:
                good = False
        if good:
            out += new
            at = end
        else:
            out += text[at : at + 1]
            at += 1
    return out


def test_any_text_in_any_pieces_like_the_slow_model():
    random.seed(3)
    for old, new in ((OLD, NEW), (b"1.1.1.1", b"223.255.255.254"), (b"172.31.77.2", b"1.2.3.4")):
        parts = (old, old, old[:5], old[5:], b"1", b".", b"%3", b"%", b"a", b"2.", old[:-1], b"<x>", b"0")
        for _ in range(400):
            text = b"".join([random.choice(parts) for _ in range(random.randrange(12))])
            wanted = whole(text, old, new)
            equal(replaced(text, old, new), wanted)
            rewriter = Rewriter(old, new)
            out = b""
            at = 0
            while at < len(text):
                size = random.choice((1, 1, 2, 3, 7, 30))
                out += rewriter.feed(text[at : at + size])
                assert len(rewriter._kept) + len(rewriter._before) <= 20
                at += size
            equal(out + rewriter.end(), wanted)


def test_each_cut_of_one_text():
    text = b"<u>http://192.168.77.2:1400</u>192.168.77.25 192.168.77.2."
    wanted = b"<u>http://10.66.1.161:1400</u>192.168.77.25 10.66.1.161."
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            rewriter = Rewriter(OLD, NEW)
            out = rewriter.feed(text[:first]) + rewriter.feed(text[first:second]) + rewriter.feed(text[second:])
            equal(out + rewriter.end(), wanted)

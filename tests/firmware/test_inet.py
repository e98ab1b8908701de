from check import equal, raises
from speakeasy import inet


def test_parse_and_text():
    for text, addr in (
        ("0.0.0.0", b"\0\0\0\0"),
        ("10.66.0.1", b"\x0a\x42\0\1"),
        ("255.255.255.255", b"\xff\xff\xff\xff"),
        ("192.168.77.1", inet.SEGMENT_HOST),
        ("192.168.77.2", inet.SEGMENT_SPEAKER),
    ):
        equal(inet.parse(text), addr)
        equal(inet.text(addr), text)


def test_parse_refuses():
    for text in (
        "",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.-4",
        "1.2.3.+4",
        "1.2.3. 4",
        "01.2.3.4",
        "1..3.4",
        "a.b.c.d",
        "1.2.3.0004",
        "1.2.3.4\n",
        "１.2.3.4",
    ):
        with raises(ValueError):
            inet.parse(text)


def test_mac_text():
    equal(inet.mac_text(b"\2\0\0\0\x42\xff"), "02:00:00:00:42:ff")


def test_same_subnet():
    mask = inet.parse("255.255.252.0")
    assert inet.same_subnet(inet.parse("10.66.0.1"), inet.parse("10.66.3.255"), mask)
    assert not inet.same_subnet(inet.parse("10.66.0.1"), inet.parse("10.66.4.0"), mask)
    assert inet.same_subnet(inet.parse("1.2.3.4"), inet.parse("9.9.9.9"), inet.ZERO)


def test_is_host():
    for text, good in (
        ("10.0.0.1", 1),
        ("223.255.255.254", 1),
        ("0.1.2.3", 0),
        ("127.0.0.1", 0),
        ("224.0.0.1", 0),
        ("255.255.255.255", 0),
    ):
        equal(inet.is_host(inet.parse(text)), bool(good))


def test_is_mask():
    for text, good in (
        ("128.0.0.0", 1),
        ("255.255.252.0", 1),
        ("255.255.255.254", 1),
        ("255.255.255.255", 0),
        ("0.0.0.0", 0),
        ("255.0.255.0", 0),
        ("0.255.0.0", 0),
    ):
        equal(inet.is_mask(inet.parse(text)), bool(good))

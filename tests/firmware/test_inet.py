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


def test_parse_mac():
    for text, mac in (("02:00:00:00:42:ff", b"\2\0\0\0\x42\xff"), ("fe:dc:ba:98:76:54", b"\xfe\xdc\xba\x98\x76\x54")):
        equal(inet.parse_mac(text), mac)
    for text in ("", "02:00:00:00:42", "02:00:00:00:42:ff:", "02:00:00:00:42:FF", "2:0:0:0:42:ff", "02-00-00-00-42-ff"):
        with raises(ValueError):
            inet.parse_mac(text)


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


def test_overlap():
    for a, mask_a, b, mask_b, shared in (
        ("192.168.77.1", "255.255.255.0", "192.168.77.200", "255.255.255.0", True),
        ("192.168.77.1", "255.255.255.0", "192.168.76.1", "255.255.254.0", True),
        ("192.168.77.1", "255.255.255.0", "192.168.76.1", "255.255.255.0", False),
        ("192.168.77.1", "255.255.255.0", "192.168.1.1", "255.255.0.0", True),
        ("192.168.77.1", "255.255.255.0", "192.168.77.130", "255.255.255.252", True),
        ("192.168.77.1", "255.255.255.0", "10.66.0.1", "255.255.252.0", False),
    ):
        arguments = [inet.parse(text) for text in (a, mask_a, b, mask_b)]
        equal(inet.overlap(*arguments), shared)
        equal(inet.overlap(*(arguments[2:] + arguments[:2])), shared)


def test_the_segment_steps_aside_rfc4787_req7():
    for addr, mask, others, host in (
        ("10.66.0.100", "255.255.252.0", "", "192.168.77.1"),
        ("192.168.76.9", "255.255.255.0", "", "192.168.77.1"),
        ("192.168.77.9", "255.255.255.0", "", "172.31.77.1"),
        ("192.168.1.9", "255.255.0.0", "", "172.31.77.1"),
        ("172.31.77.9", "255.255.255.0", "", "192.168.77.1"),
        ("128.0.0.9", "128.0.0.0", "", "10.177.77.1"),
        ("1.0.0.9", "128.0.0.0", "", "192.168.77.1"),
        ("10.66.0.100", "255.255.252.0", "192.168.77.53", "172.31.77.1"),
        ("192.168.77.9", "255.255.255.0", "10.66.0.1 172.31.77.53", "10.177.77.1"),
        # Name servers everywhere: those must do without, a network must not.
        ("192.168.77.9", "255.255.255.0", "172.31.77.53 10.177.77.1", "172.31.77.1"),
    ):
        far = b"".join([inet.parse(text) for text in others.split()])
        equal(inet.text(inet.segment_host(inet.parse(addr), inet.parse(mask), far)), host)


def test_no_netmask_covers_all_subnets_of_the_segment():
    for bits in range(1, 32):
        mask = (0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF).to_bytes(4, "big")
        for addr in inet.SEGMENT_HOSTS:
            host = inet.segment_host(addr, mask, b"")
            assert not inet.overlap(host, inet.SEGMENT_MASK, addr, mask)


def test_alias():
    equal([inet.text(inet.alias_of(h)) for h in inet.SEGMENT_HOSTS], ["192.168.77.2", "172.31.77.2", "10.177.77.2"])

"""Links and QR codes: what a phone's camera sees is what was meant."""

import pytest
from peer import INVITE_ID, INVITE_SECRET, SETUP_CODE
from speakeasy import codes, links
from speakeasy.errors import UsageError
from speakeasy.session import MODE_INVITE, MODE_SETUP_CODE

CODE, INVITE = codes.write(SETUP_CODE), codes.write(INVITE_ID + INVITE_SECRET)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (CODE, MODE_SETUP_CODE),
        (f"  {CODE.lower().replace('-', ' ')}\n", MODE_SETUP_CODE),
        (INVITE, MODE_INVITE),
        (INVITE.replace("-", ""), MODE_INVITE),
        (links.write(links.CODE, CODE), MODE_SETUP_CODE),
        (links.write(links.INVITE, INVITE), MODE_INVITE),
        (f"SPEAKEASY:#invite={INVITE}", MODE_INVITE),
        (f"speakeasy:#bridge=b0b1b2b3b4b5b6b7&code={CODE}", MODE_SETUP_CODE),
        (f"speakeasy:#code={CODE.replace('-', '%2D')}", MODE_SETUP_CODE),
        (links.write(links.CODE, CODE, "https://page.example/speakeasy/"), MODE_SETUP_CODE),
        (links.write(links.INVITE, INVITE, "http://localhost:7781/"), MODE_INVITE),
        (f"HTTPS://whoever.example:8443/any/page?x=1#x=2&invite={INVITE}", MODE_INVITE),
        (f"http://10.0.0.1/#code={CODE}", MODE_SETUP_CODE),
        (f"https://page.example/{'x' * (1000 - 27 - len(CODE))}#code={CODE}", MODE_SETUP_CODE),
    ],
)
def test_what_is_typed_pasted_or_scanned(text: str, mode: int) -> None:
    credential = links.credential(text)
    assert credential.mode == mode
    if mode == MODE_INVITE:
        assert (credential.key_id, credential.secret) == (INVITE_ID, INVITE_SECRET)
    else:
        assert (credential.key_id, credential.secret) == (bytes(8), SETUP_CODE)


@pytest.mark.parametrize("check", codes.CHECK_ALPHABET)
def test_every_check_symbol_survives_a_link(check: str) -> None:
    number = next(n for n in range(37) if codes.write(n.to_bytes(16, "big"))[-1] == check)
    link = links.write(links.CODE, codes.write(number.to_bytes(16, "big")))
    assert links.credential(link).secret == number.to_bytes(16, "big")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "speakeasy:",
        "speakeasy:#",
        "speakeasy:#code=",
        "speakeasy:#code",
        f"speakeasy:#invite={CODE}",
        "http://x/#code=",
        "https://x/",
        "http://10.66.0.5:7780/t#00112233445566778899aabbccddeeff",
        f"https://x/?code={CODE}",
        f"https://x/#a#code={CODE}",
        f"ftp://x/#code={CODE}",
        f"https://page.example/{'x' * (1001 - 27 - len(CODE))}#code={CODE}",
        f"speakeasy:#code={INVITE}",
        f"speakeasy:?code={CODE}",
        "speakeasy:#code=" + "%41" * 500,
        "x" * 5000,
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(codes.CodeError) as caught:
        links.credential(text)
    assert CODE not in str(caught.value)
    assert INVITE not in str(caught.value)


@pytest.mark.parametrize(
    ("page", "base"),
    [
        ("https://page.example", "https://page.example/"),
        ("https://page.example/speakeasy/", "https://page.example/speakeasy/"),
        ("HTTPS://Page.Example:8443/a%20b/~c/index.html", "HTTPS://Page.Example:8443/a%20b/~c/index.html"),
        ("http://localhost:7781", "http://localhost:7781/"),
        ("https://10.0.0.1/x", "https://10.0.0.1/x"),
        ("https://x/" + "y" * 90, "https://x/" + "y" * 90),
    ],
)
def test_the_address_of_a_page(page: str, base: str) -> None:
    assert links.check_page(page) == base
    assert links.write(links.CODE, CODE, links.check_page(page)) == f"{base}#code={CODE}"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "page.example",
        "http://page.example/",
        "http://localhost.example/",
        "http://localhost@page.example/",
        "https://ada:secret@page.example/",
        "https://page.example/?x",
        "https://page.example/#x",
        "https://page.example//x",
        "https://",
        "https:///x",
        "https://-x/",
        "https://page.example:/",
        "https://page.example:123456/",
        "https://page.example/\\x",
        "https://page.example/ x",
        "https://page.example/\n",
        "https://page.example/'\"<",
        "https://p\u00e4ge.example/",
        "javascript:alert(1)//",
        "file:///page/",
        "https://x/" + "y" * 91,
    ],
)
def test_what_is_no_address_of_a_page(page: str) -> None:
    with pytest.raises(UsageError, match="no address of a phone page"):
        links.check_page(page)


def test_a_qr_code_is_drawn_whole_with_a_border() -> None:
    drawn = links.qr(links.write(links.INVITE, INVITE)).splitlines()
    assert {len(line) for line in drawn} == {len(drawn[0])}
    assert set("".join(drawn)) <= set(" \u2580\u2584\u2588")
    assert set(drawn[0]) == {"\u2588"}, "the quiet zone is light"
    assert len(drawn) * 2 - len(drawn[0]) in (0, 1), "square: a character is two modules high"

"""Links and QR codes: what a phone's camera sees is what was meant."""

import pytest
from peer import INVITE_ID, INVITE_SECRET, SETUP_CODE
from speakeasy import codes, links
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


def test_a_qr_code_is_drawn_whole_with_a_border() -> None:
    drawn = links.qr(links.write(links.INVITE, INVITE)).splitlines()
    assert {len(line) for line in drawn} == {len(drawn[0])}
    assert set("".join(drawn)) <= set(" \u2580\u2584\u2588")
    assert set(drawn[0]) == {"\u2588"}, "the quiet zone is light"
    assert len(drawn) * 2 - len(drawn[0]) in (0, 1), "square: a character is two modules high"

from check import equal, raises
from speakeasy import codes
from stage import vectors

LENGTHS = {"setup": codes.SETUP_CODE_BYTES, "invite": codes.INVITE_BYTES}
REASONS = {
    "length": "wrong length",
    "symbol": "unknown symbol",
    "padding": "padding bits",
    "check": "wrong check symbol",
}


def test_vectors_both_ways():
    for vector in vectors()["codes"]:
        data = bytes.fromhex(vector["bytes"])
        equal(codes.encode(data), vector["text"])
        equal(codes.decode(vector["text"], len(data)), data)


def test_lenient_vectors():
    for vector in vectors()["lenient_codes"]:
        data = bytes.fromhex(vector["bytes"])
        equal(codes.decode(vector["text"], len(data)), data)


def test_bad_vectors_say_why():
    for vector in vectors()["bad_codes"]:
        with raises(ValueError) as caught:
            codes.decode(vector["text"], LENGTHS[vector["kind"]])
        said = str(caught.value)
        assert said.startswith(REASONS[vector["reason"]]), (vector["what"], said)


def test_any_wrong_symbol_is_noticed():
    right = codes.encode(bytes(range(16))).replace("-", "")
    noticed = 0
    for place in range(len(right)):
        for symbol in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if symbol != right[place]:
                with raises(ValueError):
                    codes.decode(right[:place] + symbol + right[place + 1 :], 16)
                noticed += 1
    equal(noticed, 26 * 31 + (31 if right[-1] in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" else 32))


def test_what_is_wrong_does_not_repeat_the_code():
    with raises(ValueError) as caught:
        codes.decode("000G40R40M30E209185GR38E1W7", 16)
    assert "000G4" not in str(caught.value)

"""Text forms of setup codes and invites, against the vectors and by themselves (SPEC 1)."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speakeasy import codes

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "pairing.json").read_text())


def read(data_or_text: str, size: int) -> bytes:
    if size == codes.SETUP_CODE_BYTES:
        return codes.read_setup_code(data_or_text)
    return b"".join(codes.read_invite(data_or_text))


@pytest.mark.parametrize("case", VECTORS["codes"], ids=lambda case: case["what"])
def test_vector(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["bytes"])
    assert codes.write(data) == case["text"]
    assert read(case["text"], len(data)) == data


@pytest.mark.parametrize("case", VECTORS["lenient_codes"], ids=lambda case: case["what"])
def test_as_people_type_it(case: dict[str, str]) -> None:
    assert codes.read_setup_code(case["text"]) == bytes.fromhex(case["bytes"])


@pytest.mark.parametrize("case", VECTORS["bad_codes"], ids=lambda case: case["what"])
def test_refused_with_its_reason_and_without_quoting_it(case: dict[str, str]) -> None:
    with pytest.raises(codes.CodeError) as caught:
        read(case["text"], codes.SETUP_CODE_BYTES if case["kind"] == "setup" else codes.INVITE_BYTES)
    assert caught.value.reason == case["reason"]
    for group in case["text"].split("-"):
        assert len(group) < 4 or group not in str(caught.value)


@given(st.binary(min_size=16, max_size=16))
def test_round_trip(data: bytes) -> None:
    assert codes.read_setup_code(codes.write(data)) == data


@given(st.binary(min_size=16, max_size=16), st.integers(0, 26), st.sampled_from(codes.CHECK_ALPHABET))
def test_every_single_wrong_symbol_is_found(data: bytes, place: int, symbol: str) -> None:
    text = codes.write(data).replace("-", "")
    changed = text[:place] + symbol + text[place + 1 :]
    if changed == text:
        return
    with pytest.raises(codes.CodeError):
        codes.read_setup_code(changed)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(codes.CodeError):
        assert len(codes.read_setup_code(text)) == 16


def test_endless_text_is_not_looked_at() -> None:
    with pytest.raises(codes.CodeError):
        codes.read_setup_code("-" * 1_000_000 + codes.write(bytes(16)))

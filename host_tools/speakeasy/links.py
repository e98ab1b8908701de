"""Setup codes and invites as links, which a QR code carries: `speakeasy:#invite=TEXT`, `speakeasy:#code=TEXT`.

The secret stands in the fragment, which no browser sends anywhere.
"""

import io
from urllib.parse import unquote

import segno

from speakeasy import codes
from speakeasy.session import Credential

SCHEME = "speakeasy:"
CODE, INVITE = "code", "invite"
LONGEST_LINK = 2 * codes.LONGEST_TEXT
QUIET_ZONE = (
    2  # modules around a QR code: half of what ISO/IEC 18004 asks for, and what readers of screens are content with
)


def write(kind: str, text: str) -> str:
    """The link for a setup code or an invite, both in their text form."""
    return f"{SCHEME}#{kind}={text}"


def _parts(link: str) -> dict[str, str]:
    fragment = link.partition("#")[2]
    return {name: unquote(value) for name, _, value in (part.partition("=") for part in fragment.split("&"))}


def credential(text: str) -> Credential:
    """What was typed, pasted or scanned: a link, a setup code or an invite. Raises codes.CodeError."""
    text = text.strip()
    if text.lower().startswith(SCHEME):
        if len(text) > LONGEST_LINK:
            raise codes.CodeError("length", "That link is too long to be one of a bridge's.")
        parts = _parts(text)
        if CODE not in parts and INVITE not in parts:
            raise codes.CodeError(
                "symbol", "That link holds neither a setup code nor an invite. Copy it anew, all of it."
            )
        invite, text = INVITE in parts, parts.get(INVITE) or parts.get(CODE) or ""
    else:
        # The two have different lengths: an invite is never mistaken for a setup code.
        invite = sum(c.isalnum() for c in text) > codes.SETUP_CODE_SYMBOLS + 3
    if invite:
        return Credential.invite(*codes.read_invite(text))
    return Credential.setup_code(codes.read_setup_code(text))


def qr(link: str) -> str:
    """The link as a QR code of block characters, light ones drawn: to be printed in white on black."""
    drawn = io.StringIO()
    segno.make_qr(link).terminal(drawn, border=QUIET_ZONE, compact=True)
    return drawn.getvalue()

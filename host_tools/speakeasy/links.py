"""Setup codes and invites as links, which a QR code carries: `speakeasy:#invite=TEXT`, `speakeasy:#code=TEXT`.

In place of `speakeasy:` may stand the address of a phone page: what a phone's camera opens. The secret stands in the
fragment, which no browser sends anywhere.
"""

import io
import re
from urllib.parse import unquote

import segno

from speakeasy import codes
from speakeasy.errors import UsageError
from speakeasy.session import Credential

SCHEME = "speakeasy:"
_SCHEMES = (SCHEME, "https:", "http:")  # of the Web whatever page it is of: here only the fragment counts
CODE, INVITE = "code", "invite"
LONGEST_LINK = 1000  # characters; of a link that somebody pasted
PAGE_VARIABLE = "SPEAKEASY_PAGE"
LONGEST_PAGE = 100  # characters; with more, a label's picture is too fine for many cameras
QUIET_ZONE = (
    2  # modules around a QR code: half of what ISO/IEC 18004 asks for, and what readers of screens are content with
)


# https, or a page on this machine. No userinfo, query or fragment, and nothing that a browser would read otherwise.
_PAGE = re.compile(
    r"(https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?|http://localhost)(:[0-9]{1,5})?(/[a-z0-9._~%-]+)*/?",
    re.ASCII | re.IGNORECASE,
)


def check_page(page: str) -> str:
    """The address of a phone page, as links have it. Raises UsageError."""
    if not _PAGE.fullmatch(page) or len(page) > LONGEST_PAGE:
        raise UsageError(
            f"That is no address of a phone page ({PAGE_VARIABLE}, PAGE=): https://HOST/FOLDER/, without ? and #, with "
            f"at most {LONGEST_PAGE} characters; http://localhost:PORT/ for one on this machine."
        )
    return page if page.count("/") > 2 else f"{page}/"


def write(kind: str, text: str, page: str = "") -> str:
    """The link for a setup code or an invite, both in their text form. `page`: by the page there (check_page)."""
    return f"{page or SCHEME}#{kind}={text}"


def _parts(link: str) -> dict[str, str]:
    fragment = link.partition("#")[2]
    return {name: unquote(value) for name, _, value in (part.partition("=") for part in fragment.split("&"))}


def credential(text: str) -> Credential:
    """What was typed, pasted or scanned: a link, a setup code or an invite. Raises codes.CodeError."""
    text = text.strip()
    if text.lower().startswith(_SCHEMES):
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

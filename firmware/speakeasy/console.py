"""What is asked at the serial console, by whoever holds the board: `speakeasy board label` types `console.label()`."""

import json

from . import codes, identity, settings
from .files import Damaged, Files


def label(files: Files | None = None) -> None:
    """Print one line of JSON, on the serial console only: `bridge` (id, hex), `code` (text form), and how many
    `phones` are paired, `owners` among them; null when nobody can tell."""
    files = files or Files()
    me = identity.load(files)
    roles = _roles(files)
    told = {
        "bridge": me.bridge_id.hex(),
        "code": codes.encode(me.setup_code),
        "phones": None if roles is None else len(roles),
        "owners": None if roles is None else roles.count(settings.OWNER),
    }
    print(json.dumps(told))


def _roles(files: Files) -> list | None:
    # Read, not made: the settings of a first boot that was interrupted are the next boot's business.
    try:
        saved = files.load(settings.FILE)
        return [] if saved is None else [phone["role"] for phone in saved["phones"]]
    except (Damaged, KeyError, TypeError):
        return None
